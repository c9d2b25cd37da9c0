"""The report store in ClickHouse, over the native protocol with clickhouse-driver.

Reads are ``FINAL``: they see one row a key, the one with the highest version. Inserts are columnar. One client, one thread: the engine's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import clickhouse_driver.numpy.helpers  # noqa: F401 - imports pandas, half a second; the driver would do it within the first batch
import numpy as np
from clickhouse_driver.errors import ServerException

from schemas import partition_progress, raw_telemetry
from schemas.erasure_rules import COLUMNS as RULE_COLUMNS
from schemas.erasure_rules import ErasureRule, from_row, select_rules, to_row
from schemas.partition_progress import PartitionProgress
from schemas.raw_telemetry import STORED, Ints, TelemetryColumns
from service_kit import clickhouse
from service_kit.clickhouse_errors import Trouble, trouble_of
from service_kit.settings import ClickHouseSettings
from stream_processor import ports
from stream_processor.domain.calendar import QUARTER_US, day_date, day_number
from stream_processor.domain.duplicates import EventId, KnownEvent
from stream_processor.domain.facets.base import MartColumns
from stream_processor.domain.fold import FOLD_FORMAT
from stream_processor.domain.window_fold import BEFORE_ALL
from stream_processor.ports import (
    StateColumns,
    StoredOwnership,
    StoredState,
    StoreUnavailable,
    StoreUnusable,
)

KEYS_PER_QUERY = 5_000
MAX_QUERY_BYTES = 16 << 20

T = TypeVar("T")

_TELEMETRY = f"""
SELECT prosthesis_id, {", ".join(raw_telemetry.whole(name) for name in STORED)}
FROM telemetry_events FINAL
WHERE prosthesis_id IN %(ids)s AND recorded_at >= fromUnixTimestamp64Micro(%(from_us)s) AND recorded_at < fromUnixTimestamp64Micro(%(to_us)s) AND deleted = 0
  AND log_offset >= %(from_offset)s
  AND (prosthesis_id > %(id)s OR (prosthesis_id = %(id)s AND (event_id_hi > %(hi)s OR (event_id_hi = %(hi)s AND event_id_lo > %(lo)s))))
ORDER BY prosthesis_id, event_id_hi, event_id_lo
LIMIT %(most)s
"""
_RAW_COLUMNS = ("prosthesis_id", *STORED.values())
_STATE_COLUMNS = (
    "report_date",
    "prosthesis_id",
    "user_id",
    "next_offset",
    "fold_format",
    "fold",
    "errors_by_code",
    "log_partition",
)


class ClickHouseStore:
    """A ``ReportStore`` over one generation's database (*settings.database*, ``<shared>_g<N>``). Not thread-safe."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._rules = f"{re.sub(r'_g[0-9]+$', '', settings.database)}.erasure_rules"
        self._client = clickhouse.client(
            settings, settings.database, settings={"max_query_size": MAX_QUERY_BYTES, "strings_as_bytes": False}
        )

    def close(self) -> None:
        self._client.disconnect()

    # -- reading --------------------------------------------------------------------------------------------------------

    def ownership(self, prosthesis_ids: Sequence[str]) -> list[StoredOwnership]:
        query = "SELECT prosthesis_id, crm_offset, log_partition, log_offset, document FROM ownership FINAL WHERE prosthesis_id IN %(ids)s"
        rows = self._by_keys(query, prosthesis_ids)
        return [StoredOwnership(pid, crm, partition, offset, document.encode()) for pid, crm, partition, offset, document in rows]

    def states(self, pages: Sequence[tuple[int, str]]) -> list[StoredState]:
        result: list[StoredState] = []
        for keys in _chunks(pages):
            of_day: dict[int, list[str]] = {}
            for day, prosthesis_id in keys:
                of_day.setdefault(day, []).append(prosthesis_id)
            # By day and not as pairs: the driver spells out every value, a pair at four times the cost of a text.
            one = "report_date = %(day_{0})s AND prosthesis_id IN %(ids_{0})s"
            condition = " OR ".join(one.format(day) for day in of_day)
            days: dict[str, Any] = {f"day_{day}": day_date(day) for day in of_day}
            query = f"SELECT {', '.join(_STATE_COLUMNS)} FROM report_state FINAL WHERE {condition}"
            rows = self._query(query, days | {f"ids_{day}": ids for day, ids in of_day.items()}, settings={"strings_as_bytes": True})
            result.extend(_state(row) for row in rows)
        return result

    def days_with_telemetry(self, prosthesis_ids: Sequence[str]) -> dict[str, dict[int, int]]:
        query = """SELECT prosthesis_id, toInt32(toDate32(recorded_at)) AS day, count() FROM telemetry_events
                   WHERE prosthesis_id IN %(ids)s GROUP BY prosthesis_id, day ORDER BY prosthesis_id, day"""
        days: dict[str, dict[int, int]] = {}
        for prosthesis_id, day, events in self._by_keys(query, prosthesis_ids):
            days.setdefault(prosthesis_id, {})[day] = events
        return days

    def has_telemetry(self, prosthesis_ids: Sequence[str], from_us: int, to_us: int) -> set[tuple[str, int]]:
        query = f"""SELECT DISTINCT prosthesis_id, intDiv(toUnixTimestamp64Micro(recorded_at), {QUARTER_US}) FROM telemetry_events
                    WHERE prosthesis_id IN %(ids)s AND recorded_at >= fromUnixTimestamp64Micro(%(from_us)s) AND recorded_at < fromUnixTimestamp64Micro(%(to_us)s)"""
        return {(pid, quarter) for pid, quarter in self._by_keys(query, prosthesis_ids, from_us=from_us, to_us=to_us)}

    def highest_event_ids(self, prosthesis_ids: Sequence[str]) -> dict[str, int]:
        query = "SELECT prosthesis_id, max(event_id_lo) FROM telemetry_events WHERE prosthesis_id IN %(ids)s GROUP BY prosthesis_id"
        return dict(self._by_keys(query, prosthesis_ids))

    def from_ahead(self, reach: Mapping[str, int]) -> set[str]:
        found: set[str] = set()
        for keys in _chunks(sorted(reach, key=reach.__getitem__)):
            beyond: dict[int, list[str]] = {}
            for prosthesis_id in keys:
                beyond.setdefault(reach[prosthesis_id], []).append(prosthesis_id)
            # By offset, which is as a rule their partition's: the index by_offset passes over all that was handled, years of it.
            condition = " OR ".join(f"log_offset > %(offset_{n})s AND prosthesis_id IN %(ids_{n})s" for n in range(len(beyond)))
            parameters: dict[str, Any] = {f"offset_{n}": offset for n, offset in enumerate(beyond)}
            parameters |= {f"ids_{n}": ids for n, ids in enumerate(beyond.values())}
            rows = self._query(f"SELECT DISTINCT prosthesis_id FROM telemetry_events WHERE {condition}", parameters)
            found.update(prosthesis_id for (prosthesis_id,) in rows)
        return found

    def known_events(self, ids: Sequence[EventId]) -> dict[EventId, KnownEvent]:
        query = """SELECT prosthesis_id, event_id_hi, event_id_lo, lsn, log_offset, toUnixTimestamp64Micro(recorded_at), deleted, former_us
                   FROM telemetry_events FINAL WHERE (prosthesis_id, event_id_hi, event_id_lo) IN %(ids)s"""
        rows = self._by_keys(query, ids)
        return {
            (pid, hi, lo): KnownEvent(lsn, offset, at, bool(deleted), tuple(former))
            for pid, hi, lo, lsn, offset, at, deleted, former in rows
        }

    def telemetry(
        self, prosthesis_ids: Sequence[str], from_us: int, to_us: int, after: EventId = BEFORE_ALL, beyond: int = -1
    ) -> Iterator[tuple[list[str], TelemetryColumns]]:
        most, between = ports.TELEMETRY_AT_ONCE, {"from_us": from_us, "to_us": to_us, "from_offset": beyond + 1}
        for keys in _chunks(prosthesis_ids):
            last = after
            while columns := self._query(
                _TELEMETRY, {"ids": keys, "most": most, "id": last[0], "hi": last[1], "lo": last[2], **between}, columnar=True
            ):
                ids, events = list(columns[0]), _events(columns)
                yield ids, events
                if len(ids) < most:
                    break
                last = ids[-1], int(events.event_id_hi[-1]), int(events.event_id_lo[-1])

    def progress(self, topic: str) -> list[PartitionProgress]:
        return [partition_progress.from_row(row) for row in self._query(partition_progress.select_progress(), {"topics": (topic,)})]

    def erasures(self) -> list[ErasureRule]:
        return [from_row(row) for row in self._query(select_rules(self._rules), {})]

    def _by_keys(self, query: str, keys: Sequence[Any], **parameters: object) -> list[Any]:
        return [row for chunk in _chunks(keys) for row in self._query(query, {"ids": chunk, **parameters})]

    def _query(self, query: str, parameters: dict[str, Any], **options: Any) -> Any:
        with _classified():
            return self._client.execute(query, parameters, **options)

    # -- writing --------------------------------------------------------------------------------------------------------

    def write_erasures(self, rules: Sequence[ErasureRule]) -> None:
        self._insert(self._rules, RULE_COLUMNS, list(zip(*map(to_row, rules), strict=True)))

    def write_telemetry(self, prosthesis_ids: Ints, events: TelemetryColumns, former: Sequence[tuple[int, ...]] | None = None) -> None:
        of = {name: getattr(events, name) for name in STORED}
        of |= {"recorded_us": events.recorded_us.astype("datetime64[us]"), "offset": events.offset.astype(np.uint64)}
        columns = [prosthesis_ids, *of.values()]
        if former is None:
            self._insert("telemetry_events", _RAW_COLUMNS, columns, use_numpy=True)
        else:  # arrays are none of the driver's NumPy columns
            plain = [column.tolist() for column in columns]
            plain[_RAW_COLUMNS.index("recorded_at")] = events.recorded_us.tolist()
            self._insert("telemetry_events", (*_RAW_COLUMNS, "former_us"), [*plain, list(map(list, former))])

    def write_reports(self, columns: MartColumns) -> None:
        self._insert("user_daily_reports", tuple(columns), list(columns.values()))

    def write_states(self, states: StateColumns) -> None:
        days = {day: day_date(day) for day in set(states.day)}
        next_offset = [offset + 1 for offset in states.folded_to]
        formats = [FOLD_FORMAT] * len(states.day)
        columns = [
            [days[day] for day in states.day], states.prosthesis_id, states.user_id, next_offset,
            formats, states.fold, states.errors_by_code, states.partition,
        ]  # fmt: skip
        self._insert("report_state", _STATE_COLUMNS, columns)

    def write_ownership(self, documents: Sequence[StoredOwnership]) -> None:
        rows = [(d.prosthesis_id, d.crm_offset, d.partition, d.offset, d.document) for d in documents]
        columns = ("prosthesis_id", "crm_offset", "log_partition", "log_offset", "document")
        self._insert("ownership", columns, list(zip(*rows, strict=True)))

    def write_progress(self, progress: Sequence[PartitionProgress]) -> None:
        rows = list(map(partition_progress.to_row, progress))
        if rows:
            self._insert("partition_progress", partition_progress.COLUMNS, list(zip(*rows, strict=True)))

    def _insert(self, table: str, names: Sequence[str], columns: Sequence[Any], *, use_numpy: bool = False) -> None:
        query = f"INSERT INTO {table} ({', '.join(names)}) VALUES"
        with _classified():
            self._client.execute(query, columns, columnar=True, settings={"use_numpy": use_numpy})


@contextmanager
def _classified() -> Iterator[None]:
    """Raise outages and refusals as ``ports.ReportStore`` promises; what is about the data goes on as it is."""
    try:
        yield
    except Exception as error:
        trouble = trouble_of(error)
        if trouble is Trouble.OUTAGE:
            raise StoreUnavailable(f"ClickHouse: {_brief(error)}") from error
        if trouble is Trouble.REFUSED:
            raise StoreUnusable(f"ClickHouse: {_brief(error)}: {str(error).partition(chr(10))[0][:300]}") from error
        raise


def _brief(error: Exception) -> str:
    return f"code {error.code}" if isinstance(error, ServerException) else type(error).__name__


def _chunks(keys: Sequence[T]) -> Iterator[list[T]]:
    for first in range(0, len(keys), KEYS_PER_QUERY):
        yield list(keys[first : first + KEYS_PER_QUERY])


def _state(row: Any) -> StoredState:
    day, prosthesis_id, user_id, next_offset, fold_format, fold, errors, partition = row
    by_code = {code.decode(): count for code, count in errors.items()}
    return StoredState(day_number(day), prosthesis_id.decode(), user_id.decode(), next_offset - 1, fold_format, fold, by_code, partition)


def _events(columns: Sequence[Any]) -> TelemetryColumns:
    events = TelemetryColumns.blank(len(columns[0]))
    for name, values in zip(STORED, columns[1:], strict=True):
        target: Ints = getattr(events, name)
        target[:] = values
    return events
