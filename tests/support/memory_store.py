"""A ``ReportStore`` in memory with ClickHouse's semantics: rows of a key are kept by version, on equal versions the later write wins.

It passes the same suite as the real one (tests/integration/test_report_store.py), its unmerged reads included: a replaced row of raw stays visible to
reads without ``FINAL`` until ``merge``. ``Faults`` breaks it at a chosen write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain
from typing import Any

import numpy as np

from schemas.erasure_rules import ErasureRule
from schemas.partition_progress import PartitionProgress
from schemas.raw_telemetry import RAW, Ints, TelemetryColumns
from stream_processor import ports
from stream_processor.domain.calendar import QUARTER_US, day_date
from stream_processor.domain.duplicates import EventId, KnownEvent
from stream_processor.domain.facets.base import MartColumns
from stream_processor.domain.fold import FOLD_FORMAT
from stream_processor.domain.window_fold import BEFORE_ALL
from stream_processor.ports import StateColumns, StoredOwnership, StoredState, StoreUnavailable

DAY_US = 96 * QUARTER_US


class MemoryStore:
    def __init__(self) -> None:
        self.raw: dict[EventId, dict[str, Any]] = {}
        self.raw_parts: list[dict[EventId, dict[str, Any]]] = []
        """One a write, as ClickHouse keeps them until it merges: *raw* is what ``FINAL`` makes of them."""
        self.reports: dict[tuple[str, Any, str], dict[str, Any]] = {}
        self.state: dict[tuple[int, str, str], StoredState] = {}
        self.documents: dict[str, StoredOwnership] = {}
        self.positions: dict[tuple[str, int], PartitionProgress] = {}
        self.rules: dict[tuple[str, str], ErasureRule] = {}
        self.lookups = 0
        # Every row that was written and not merged away, by key and version: what the eraser has to find. The dictionaries above are what ``FINAL`` makes of them.
        self.report_rows: dict[tuple[str, Any, str, int], dict[str, Any]] = {}
        self.state_rows: dict[tuple[int, str, str, int], StoredState] = {}
        self.document_rows: dict[tuple[str, int], StoredOwnership] = {}

    # -- reading

    def ownership(self, prosthesis_ids: Sequence[str]) -> list[StoredOwnership]:
        return [self.documents[p] for p in prosthesis_ids if p in self.documents]

    def states(self, pages: Sequence[tuple[int, str]]) -> list[StoredState]:
        wanted = set(pages)
        return [state for (day, prosthesis, _), state in self.state.items() if (day, prosthesis) in wanted]

    def days_with_telemetry(self, prosthesis_ids: Sequence[str]) -> dict[str, dict[int, int]]:
        days: dict[str, dict[int, int]] = {}
        for (prosthesis, _, _), row in self._unmerged():
            if prosthesis in prosthesis_ids:
                found = days.setdefault(prosthesis, {})
                found[row["recorded_us"] // DAY_US] = found.get(row["recorded_us"] // DAY_US, 0) + 1
        return days

    def has_telemetry(self, prosthesis_ids: Sequence[str], from_us: int, to_us: int) -> set[tuple[str, int]]:
        return {
            (prosthesis, row["recorded_us"] // QUARTER_US)
            for (prosthesis, _, _), row in self._unmerged()
            if prosthesis in prosthesis_ids and from_us <= row["recorded_us"] < to_us
        }

    def highest_event_ids(self, prosthesis_ids: Sequence[str]) -> dict[str, int]:
        highest: dict[str, int] = {}
        for (prosthesis, _, low), _ in self._unmerged():
            if prosthesis in prosthesis_ids:
                highest[prosthesis] = max(highest.get(prosthesis, -1), low)
        return highest

    def from_ahead(self, reach: Mapping[str, int]) -> set[str]:
        return {prosthesis for (prosthesis, _, _), row in self._unmerged() if prosthesis in reach and row["offset"] > reach[prosthesis]}

    def known_events(self, ids: Sequence[EventId]) -> dict[EventId, KnownEvent]:
        self.lookups += len(ids)
        found = {}
        for event_id in ids:
            row = self.raw.get(event_id)
            if row is not None:
                found[event_id] = KnownEvent(row["lsn"], row["offset"], row["recorded_us"], bool(row["deleted"]), row["former"])
        return found

    def telemetry(
        self, prosthesis_ids: Sequence[str], from_us: int, to_us: int, after: EventId = BEFORE_ALL, beyond: int = -1
    ) -> Iterator[tuple[list[str], TelemetryColumns]]:
        chosen = [
            (event_id[0], row)
            for event_id, row in sorted(self.raw.items())
            if event_id[0] in prosthesis_ids and event_id > after and row["offset"] > beyond
            if from_us <= row["recorded_us"] < to_us and not row["deleted"]
        ]
        for first in range(0, len(chosen), ports.TELEMETRY_AT_ONCE):
            part = chosen[first : first + ports.TELEMETRY_AT_ONCE]
            columns = {name: np.array([row[name] for _, row in part], dtype=raw.dtype) for name, raw in RAW.items()}
            yield [prosthesis for prosthesis, _ in part], TelemetryColumns(**columns)

    def progress(self, topic: str) -> list[PartitionProgress]:
        return [row for (name, _), row in self.positions.items() if name == topic]

    def erasures(self) -> list[ErasureRule]:
        return list(self.rules.values())

    # -- writing

    def write_erasures(self, rules: Sequence[ErasureRule]) -> None:
        for rule in rules:
            known = self.rules.get((rule.prosthesis_id, rule.erasure_id))
            if known is None or rule.offset >= known.offset:
                self.rules[rule.prosthesis_id, rule.erasure_id] = rule

    def write_telemetry(self, prosthesis_ids: Ints, events: TelemetryColumns, former: Sequence[tuple[int, ...]] | None = None) -> None:
        part: dict[EventId, dict[str, Any]] = {}
        for i, prosthesis in enumerate(prosthesis_ids):
            row = {name: getattr(events, name)[i] for name in RAW}
            row = {name: value.item() if hasattr(value, "item") else value for name, value in row.items()} | {"device": 0}
            row["former"] = former[i] if former is not None else ()
            key = (prosthesis, row["event_id_hi"], row["event_id_lo"])
            for place in (part, self.raw):
                if key not in place or row["lsn"] >= place[key]["lsn"]:
                    place[key] = row
        self.raw_parts.append(part)

    def empty(self, *tables: str) -> None:
        """As ``TRUNCATE`` of the reports or the states."""
        if "reports" in tables:
            self.reports, self.report_rows = {}, {}
        if "states" in tables:
            self.state, self.state_rows = {}, {}

    def merge(self) -> None:
        """Replaced rows are gone, as after a merge of all parts."""
        self.raw_parts = [dict(self.raw)]
        self.report_rows = {(*key, row["version"]): row for key, row in self.reports.items()}
        self.state_rows = {(*key, state.folded_to): state for key, state in self.state.items()}
        self.document_rows = {(key, document.crm_offset): document for key, document in self.documents.items()}

    def remove_raw(self, event_ids: Iterable[EventId]) -> None:
        """The events leave raw, replaced rows of them too."""
        for event_id in event_ids:
            del self.raw[event_id]
            for part in self.raw_parts:
                part.pop(event_id, None)

    def _unmerged(self) -> Iterator[tuple[EventId, dict[str, Any]]]:
        return chain.from_iterable(part.items() for part in self.raw_parts)

    def write_reports(self, columns: MartColumns) -> None:
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, map(copy, values), strict=True))  # as it is now: codes of errors are counted on in the writer's cache
            key = (row["user_id"], row["report_date"], row["prosthesis_id"])
            self.report_rows[*key, row["version"]] = row
            if key not in self.reports or row["version"] >= self.reports[key]["version"]:
                self.reports[key] = row

    def write_states(self, states: StateColumns) -> None:
        columns = (
            states.day,
            states.prosthesis_id,
            states.user_id,
            states.folded_to,
            states.fold,
            states.errors_by_code,
            states.partition,
        )
        for day, prosthesis, user, folded_to, fold, errors, partition in zip(*columns, strict=True):
            state = StoredState(day, prosthesis, user, folded_to, FOLD_FORMAT, fold, dict(errors), partition)
            key = (state.day, state.prosthesis_id, state.user_id)
            self.state_rows[*key, state.folded_to] = state
            if key not in self.state or state.folded_to >= self.state[key].folded_to:
                self.state[key] = state

    def write_ownership(self, documents: Sequence[StoredOwnership]) -> None:
        for document in documents:
            self.document_rows[document.prosthesis_id, document.crm_offset] = document
            known = self.documents.get(document.prosthesis_id)
            if known is None or document.crm_offset >= known.crm_offset:
                self.documents[document.prosthesis_id] = document

    def write_progress(self, progress: Sequence[PartitionProgress]) -> None:
        for row in progress:
            known = self.positions.get((row.topic, row.partition))
            if known is None or row.handled_offset >= known.handled_offset:
                self.positions[row.topic, row.partition] = row

    def remove_erased(self, user_id: str) -> None:
        """As the eraser does once all rules are handled: raw in erased times; of the user what is older than the rule, and empty reports with their states."""
        for rule in self.rules.values():
            for part in (self.raw, *self.raw_parts):
                for event_id, row in list(part.items()):
                    if event_id[0] == rule.prosthesis_id and any(begin <= row["recorded_us"] < end for begin, end in rule.intervals):
                        del part[event_id]
            for key, report in list(self.reports.items()):
                if key[::2] == (user_id, rule.prosthesis_id) and (report["version"] < rule.offset or report["is_deleted"]):
                    del self.reports[key]
            for place, state in list(self.state.items()):
                report_key = (user_id, day_date(place[0]), rule.prosthesis_id)
                if place[1:] == (rule.prosthesis_id, user_id) and (state.folded_to < rule.offset or report_key not in self.reports):
                    del self.state[place]

    def live_reports(self) -> dict[tuple[str, Any, str], dict[str, Any]]:
        """What readers see: without tombstones and without the fields that are about the log."""
        hidden = {"version", "is_deleted", "log_partition"}
        return {
            key: {name: value for name, value in row.items() if name not in hidden}
            for key, row in self.reports.items()
            if not row["is_deleted"]
        }


class Faults:
    """Passes everything on to a store, but the *at*-th write raises, after it happened or before."""

    def __init__(self, store: MemoryStore, at: int, *, after: bool) -> None:
        self._store = store
        self._at = at
        self._after = after
        self._writes = 0

    def __getattr__(self, name: str) -> Any:
        target: Callable[..., Any] = getattr(self._store, name)
        if not name.startswith("write_"):
            return target

        def write(*arguments: Any) -> None:
            self._writes += 1
            if self._writes == self._at and not self._after:
                raise StoreUnavailable("injected before the write")
            target(*arguments)
            if self._writes == self._at and self._after:
                raise StoreUnavailable("injected after the write")

        return write
