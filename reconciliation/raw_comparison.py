"""Compares raw telemetry with PostgreSQL, a window of days at a time: by count and checksum of each prosthesis's day, and by id where these differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from reconciliation.consistent_snapshot import ConsistentSnapshot
from reconciliation.day_range import DayRange, micro
from reconciliation.digests import ProsthesisDay, portions, unlike
from reconciliation.erasures import is_erased
from reconciliation.mart import Mart
from reconciliation.raw import Content, EventKey, RawDifference, RawEvent, compare_raw, event_key, settled, source_id
from reconciliation.settings import ReconciliationSettings
from reconciliation.windows import days_with_data, windows

_DAY_US = 86_400_000_000
BY_ID_AT_ONCE = 200_000
"""Events of either side that are held for a comparison by id."""


@dataclass(frozen=True)
class RawComparison:
    """One comparison in one consistent snapshot. Changes nothing."""

    settings: ReconciliationSettings
    mart: Mart
    snapshot: ConsistentSnapshot
    progress: Callable[[str], None]

    def run(self, events: Mapping[date, int], first: date | None, last: date | None) -> RawDifference:
        """Differences among the events recorded in the UTC days *first* … *last* (None: without that bound), as either side has their time.

        *events*: how many PostgreSQL has of each UTC day, by which the work is cut.
        """
        kept_since = self.mart.retention.first_verifiable(datetime.now(UTC).date())
        first = max(filter(None, (first, kept_since)), default=None)
        days = days_with_data(events, self.mart.raw_days(), first, last)
        found = RawDifference({}, {}, {})
        limits = self.settings.reconciliation
        for window in windows(days, events, limits.window_events, limits.window_days):
            found = found.joined(self._window(window))
            self.progress(
                f"raw telemetry {window.first} … {window.last}: {len(found)} events differ so far, {len(found.gaps)} days of prostheses are missing"
            )
            if len(found) >= limits.repair_rows and window.last < days[-1]:
                found = replace(found, cut_after=window.last)
                break
        # An event may have another time on the other side, in another window or outside them all: only the id tells.
        return settled(found, self._in_source(list(found.surplus)), self.mart.raw_contents(list(found.missing)))

    def _window(self, window: DayRange) -> RawDifference:
        """Days of prostheses whose counts or checksums are unlike are compared by id, a portion at a time; gaps are not."""
        first, end = window.utc()
        limits, id_type = self.settings.reconciliation, self.snapshot.oracle.mapping.telemetry.event_id.type
        found = unlike(
            self.snapshot.oracle.digests(self.snapshot.telemetry, first, end),
            self.mart.raw_digests(micro(first), micro(end), id_type),
            limits.gap_rows,
        )
        differing = RawDifference({}, {}, {}, found.gaps)
        for portion in portions(found.by_id, min(limits.window_events, BY_ID_AT_ONCE)):
            differing = differing.joined(self._by_id(portion, first, end))
        return differing

    def _by_id(self, days: frozenset[ProsthesisDay], first: datetime, end: datetime) -> RawDifference:
        """The events of *days*, which lie within [first, end)."""
        prostheses = sorted({prosthesis for prosthesis, _ in days})
        source = {
            event_key(row[0], row[1]): tuple(row[2:])
            for row in self.snapshot.oracle.events(self.snapshot.telemetry, first, end, prostheses)
            if (row[0], row[2] // _DAY_US) in days
        }
        # What is erased and still waits for its removal is the eraser's, not ours.
        erased = self.snapshot.oracle.erased
        ruled = {rule.prosthesis_id for rule in erased}
        raw = {
            EventKey(prosthesis, high, low): RawEvent(content, position)
            for prosthesis, high, low, content, position in self.mart.raw_events(micro(first), micro(end), prostheses)
            if (prosthesis, int(content[0]) // _DAY_US) in days
            and (prosthesis not in ruled or not is_erased(erased, prosthesis, int(content[0])))
        }
        return compare_raw(source, raw, self.snapshot.barrier)

    def _in_source(self, keys: Sequence[EventKey]) -> Mapping[EventKey, Content]:
        ids = [source_id(key, self.snapshot.oracle.mapping.telemetry.event_id.type) for key in keys]
        return {event_key(row[0], row[1]): tuple(row[2:]) for row in self.snapshot.oracle.events_by_id(self.snapshot.telemetry, ids)}
