"""Records of ``prosthesis.log`` become columns, changes, documents, commands and dead letters.

One typed decode a record is the hot path; only what it refuses is looked at again, by itself, to say what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import numpy as np

from schemas.commands import decode_command
from schemas.dead_letters import ABSENT_COLUMN, WITHOUT_IDENTITY
from schemas.mapping import SourceMapping, bare
from schemas.ownership import decode as decode_document
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.envelopes import EnvelopeDecoder, Source
from stream_processor.domain.log_records import Change, DeadLetter, Decoded, Document, Inserts, PlacedCommand, Progress, Record, Retraction
from stream_processor.domain.rows import RowReader, absent, halves, tells_nothing
from stream_processor.domain.values import SourceRow

T = TypeVar("T")


SLICE = 1_500  # records decoded at once: what is made of them on the way stays in a core's cache, which a third of decoding's time hangs on

_INSERTED = frozenset({"c", "r"})
_partition, _offset, _prosthesis_id = attrgetter("partition"), attrgetter("offset"), attrgetter("prosthesis_id")


class LogDecoder:
    """Decodes batches of one source mapping. Pure; may be shared by threads only if each call is alone."""

    def __init__(self, mapping: SourceMapping) -> None:
        self._envelopes_of = EnvelopeDecoder(mapping.telemetry)
        self._reader = RowReader(mapping)
        self._telemetry = mapping.telemetry
        self._table = bare(mapping.telemetry.table)
        self._heartbeats = bare(mapping.heartbeats.table)

    def decode(self, records: Sequence[Record]) -> Decoded:
        """Sort out *records*, which must be in offset order within each partition."""
        return Decoded.joined([self._decode_slice(records[i : i + SLICE]) for i in range(0, max(1, len(records)), SLICE)])

    def left_out(self, record: Record, *, up_to: int | None) -> Decoded:
        """What is left of a record that cannot be processed: it is behind us, and its event (where it names one) counts no more in reports up to *up_to*; None: that it is behind us."""
        decoded = self.decode([])
        decoded.progress = {record.partition: Progress(record.partition, record.offset, None)}
        if up_to is not None:
            decoded.retractions = self._retractions_of(record, up_to)
        return decoded

    def _retractions_of(self, record: Record, up_to: int) -> list[Retraction]:
        try:
            loose = self._envelopes_of.loose(record.value or b"")
        except msgspec.DecodeError:
            return []
        row = self._envelopes_of.ids(loose.after) or self._envelopes_of.ids(loose.before)
        if loose.source.table != self._table or row is None or row.prosthesis_id is None or row.event_id is None:
            return []
        # A snapshot's row may bear the LSN of a delete that came right after the snapshot: it must not stand in its place.
        lsn = None if loose.op == "r" else loose.source.lsn
        return [Retraction(record, row.prosthesis_id, halves(row.event_id), lsn, reach=up_to, instants=self._instants_of(loose, record))]

    def _instants_of(self, loose: Any, record: Record) -> tuple[int, ...]:
        """When the event was recorded, by either of its rows: an attempt may have written the new one to raw and nothing else."""
        found: list[int] = []
        for raw in (loose.before, loose.after):
            with suppress(Exception):  # the row may be the very thing that cannot be processed, and then no attempt wrote it
                columns, _ = self._one(self._envelopes_of.row(raw), record, loose.source)
                found += [] if columns is None else columns.recorded_us.tolist()
        return tuple(found)

    def _decode_slice(self, records: Sequence[Record]) -> Decoded:
        batch = _Slice(records)
        envelopes = self._envelopes(batch)
        self._classify(envelopes, batch)
        decoded = self._inserts(envelopes, batch)
        decoded.progress = batch.progress()
        return decoded

    def _envelopes(self, batch: _Slice) -> list[Any]:
        """The envelope of each record; None for those refused, which are dealt with on the way."""
        envelopes = self._envelopes_of.many([record.value for record in batch.records])
        return [self._envelope(record, batch) for record in batch.records] if envelopes is None else envelopes

    def _envelope(self, record: Record, batch: _Slice) -> Any:
        try:
            return self._envelopes_of.one(record.value)
        except (msgspec.DecodeError, TypeError) as error:
            self._refused(record, batch, error)
            return None

    def _classify(self, envelopes: list[Any], batch: _Slice) -> None:
        """Inserts are noted for ``_inserts``; whatever else there is goes where it belongs. *envelopes* keeps the inserts' only."""
        table = self._table
        at = [
            i
            for i, envelope in enumerate(envelopes)
            if envelope is not None and envelope.op in _INSERTED and envelope.after is not None and envelope.source.table == table
        ]
        if len(at) < len(envelopes):
            inserted = set(at)
            for i, envelope in enumerate(envelopes):
                if envelope is not None and i not in inserted:
                    self._other(batch.records[i], envelope, batch)
            envelopes[:] = [envelopes[i] for i in at]
        batch.insert_at = np.array(at, dtype=np.int64)

    def _other(self, record: Record, envelope: Any, batch: _Slice) -> None:
        source: Source = envelope.source
        if envelope.type is not None:
            self._own_record(record, envelope.type, batch)
        elif source.table == self._table and envelope.op in ("u", "d"):
            self._change(record, envelope.before, envelope.after, source, batch)
        elif (
            (source.table == self._heartbeats and envelope.op in ("c", "r", "u", "d"))
            or envelope.op == "m"
            or source.table == "debezium_signals"
        ):
            batch.saw(record.partition, source)
        else:
            batch.dead.append(DeadLetter(record, "not-an-envelope", f"op {envelope.op!r}, table {source.table!r}"))

    def _own_record(self, record: Record, kind: str, batch: _Slice) -> None:
        value = record.value or b""
        try:
            if kind == "ownership":
                batch.documents.append(Document(record, decode_document(value)))
            else:
                batch.commands.append(PlacedCommand(record, decode_command(value)))
        except msgspec.DecodeError as error:
            batch.dead.append(DeadLetter(record, f"invalid-{kind[:32]}", str(error)))

    def _change(self, record: Record, before: SourceRow | None, after: SourceRow | None, source: Source, batch: _Slice) -> None:
        """An update or delete. A new content that is invalid is a dead letter, and the old one leaves all the same.

        Of a row with an absent column nothing is known, so that nothing leaves for it; and a change that does not tell the old row needs a repair.
        """
        batch.saw(record.partition, source)
        removed, _ = self._one(before, record, source)
        added, error = self._one(after, record, source)
        unusable = [row for row, columns in ((after, added), (before, removed)) if row is not None and columns is None]
        if incomplete := self._incomplete(record, before, after, unusable):
            batch.dead.append(incomplete)
            if after is None or incomplete.reason == ABSENT_COLUMN:
                return
        if after is not None and added is None:
            batch.dead.append(DeadLetter(record, "invalid-row", error))
        row = after if after is not None else before
        if removed is None and added is None:
            self._retract(record, source, row, batch)
        elif row is not None:
            batch.changes.append(Change(record, row.prosthesis_id, removed, added, source.ts_ms))

    def _incomplete(
        self, record: Record, before: SourceRow | None, after: SourceRow | None, unusable: list[SourceRow]
    ) -> DeadLetter | None:
        """What a change does not say that it has to. *unusable*: those of its rows that are invalid for any reason."""
        for row in unusable:
            if names := absent(row):
                return DeadLetter(record, ABSENT_COLUMN, f"the row has no column {', '.join(names)}: renamed, dropped or not published")
        if before is None or (after is None and unusable and self._tells_nothing(record)):
            return DeadLetter(record, WITHOUT_IDENTITY, "the old row is not told: the table has not REPLICA IDENTITY FULL")
        return None

    def _tells_nothing(self, record: Record) -> bool:
        old = self._envelopes_of.loose(record.value or b"").before
        return tells_nothing(msgspec.json.decode(old) or {}, self._telemetry)

    def _one(self, row: SourceRow | None, record: Record, source: Source) -> tuple[TelemetryColumns | None, str]:
        if row is None:
            return None, ""
        canonical = self._reader.read((row,), np.array([source.ts_ms]))
        if canonical.invalid:
            return None, canonical.invalid[0][1]
        columns = canonical.columns
        columns.lsn[:] = source.lsn or 0
        columns.partition[:] = record.partition
        columns.offset[:] = record.offset
        return columns, ""

    def _refused(self, record: Record, batch: _Slice, error: Exception) -> None:
        """The typed decode refused: a change whose one row is invalid still counts, everything else is a dead letter."""
        try:
            loose = self._envelopes_of.loose(record.value or b"")
        except msgspec.DecodeError:
            reason = "empty" if not record.value else "not-an-envelope"
            batch.dead.append(DeadLetter(record, reason, str(error)))
            return
        if loose.source.table == self._table and loose.op in ("u", "d"):
            before, after = self._envelopes_of.row(loose.before), self._envelopes_of.row(loose.after)
            if after is None and bytes(loose.after) != b"null":
                # Of the new content: *error* is what the whole record's decoding met first, which may be the old one.
                batch.dead.append(DeadLetter(record, "invalid-row", self._envelopes_of.problem(loose.after)))
            if before is not None or after is not None:
                self._change(record, before, after, loose.source, batch)
            elif loose.op == "d" and self._tells_nothing(record):
                batch.dead.append(DeadLetter(record, WITHOUT_IDENTITY, str(error)))
            else:
                self._retract(record, loose.source, self._envelopes_of.ids(loose.after) or self._envelopes_of.ids(loose.before), batch)
            return
        batch.saw(record.partition, loose.source)
        batch.dead.append(DeadLetter(record, "invalid-row", str(error)))
        if loose.source.table == self._table and loose.op == "r":
            self._retract(record, loose.source, self._envelopes_of.ids(loose.after), batch)

    def _retract(self, record: Record, source: Source, row: SourceRow | None, batch: _Slice) -> None:
        """A snapshot or a change says what a row is now, and if that is nothing that counts, what is known of it counts no more: the change to it may never have come."""
        if row is not None and row.prosthesis_id is not None and row.event_id is not None:
            batch.retractions.append(Retraction(record, row.prosthesis_id, halves(row.event_id), source.lsn))

    def _inserts(self, envelopes: list[Any], batch: _Slice) -> Decoded:
        """The columns of the inserted rows, invalid ones left out."""
        rows = [envelope.after for envelope in envelopes]
        sources = [envelope.source for envelope in envelopes]
        live = np.array([envelope.op == "c" for envelope in envelopes], dtype=bool)
        lsns = [source.lsn for source in sources]
        batch.committed_ms = np.fromiter((source.ts_ms for source in sources), np.int64, len(sources))
        canonical = self._reader.read(rows, batch.committed_ms)
        at, columns = batch.insert_at, canonical.columns
        for i, reason in canonical.invalid:
            if names := absent(rows[i]):
                batch.dead.append(DeadLetter(batch.records[at[i]], ABSENT_COLUMN, f"the row has no column {', '.join(names)}"))
                continue
            batch.dead.append(DeadLetter(batch.records[at[i]], "invalid-row", reason))
            if envelopes[i].op == "r":
                self._retract(batch.records[at[i]], sources[i], rows[i], batch)
        if canonical.invalid:
            good = canonical.index
            at, live = at[good], live[good]
            rows, lsns = [rows[i] for i in good.tolist()], [lsns[i] for i in good.tolist()]
        columns.partition, columns.offset = batch.partition[at].astype(np.uint16), batch.offset[at]
        unversioned = np.array([lsn is None for lsn in lsns], dtype=bool) if None in lsns else np.zeros(len(lsns), bool)
        columns.lsn = np.array([lsn or 0 for lsn in lsns], dtype=np.uint64)
        inserts = Inserts(
            columns=columns,
            records=[batch.records[i] for i in at.tolist()],
            ids=list(map(_prosthesis_id, rows)),
            live=live,
            unversioned=unversioned,
        )
        return Decoded(inserts, batch.changes, batch.documents, batch.commands, batch.retractions, batch.dead)


class _Slice:
    """What a slice of a batch has been sorted into so far."""

    insert_at: Ints  # positions of the inserts
    committed_ms: Ints  # and the source's time of each

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.partition: Ints = np.fromiter(map(_partition, records), np.int64, len(records))
        self.offset: Ints = np.fromiter(map(_offset, records), np.int64, len(records))
        self.changes: list[Change] = []
        self.documents: list[Document] = []
        self.commands: list[PlacedCommand] = []
        self.retractions: list[Retraction] = []
        self.dead: list[DeadLetter] = []
        self._as_of: dict[int, int] = {}

    def saw(self, partition: int, source: Source) -> None:
        """Source times of what is not an insert; those of inserts are taken at the end, in one pass."""
        if source.ts_ms > self._as_of.get(partition, 0):
            self._as_of[partition] = source.ts_ms

    def progress(self) -> dict[int, Progress]:
        """The last record of each partition and the latest source time in it."""
        partitions, place = np.unique(self.partition, return_inverse=True)
        last = np.full(len(partitions), -1, np.int64)
        np.maximum.at(last, place, self.offset)
        latest = np.zeros(len(partitions), np.int64)
        np.maximum.at(latest, place[self.insert_at], self.committed_ms)
        result = {}
        for partition, offset, insert_ms in zip(partitions.tolist(), last.tolist(), latest.tolist(), strict=True):
            as_of = max(insert_ms, self._as_of.get(partition, 0))
            result[partition] = Progress(partition, offset, as_of or None)
        return result
