"""``bionicpro verify``: the mart against the oracle, while both keep moving.

A difference may only mean that the row moved between the two looks at it, so rows that differ are looked at again, in rounds with a snapshot and
a barrier each. A row is different for sure once the mart's version of it is no higher than the *previous* round's barrier: then it has not moved
since, and the snapshot, taken later, holds whatever happened to it. Rows that move until the last round are unverified.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from reconciliation.compare import Comparison, compare, only
from reconciliation.consistent_snapshot import ConsistentSnapshot, ConsistentSnapshots
from reconciliation.day_range import DayRange
from reconciliation.directory import differing, differing_anywhere
from reconciliation.fields import Key
from reconciliation.mart import Mart, Position, serving_mart
from reconciliation.oracle import Oracle
from reconciliation.raw import NO_DIFFERENCE, RawDifference
from reconciliation.raw_comparison import RawComparison
from reconciliation.settings import ReconciliationSettings
from reconciliation.verification import Beyond, Verification
from reconciliation.windows import days_with_data, windows
from schemas.mapping import SourceMapping
from schemas.ranges import FIRST_DAY, LAST_DAY

Progress = Callable[[str], None]
StateCheck = Callable[[Mart, DayRange, Mapping[int, int]], frozenset[Key]]
"""The reports of days whose state is not what their row in the mart says, among those at or below a barrier of the log."""

MAX_BACKOFF_S = 5.0
NOTHING = Comparison(0, 0, (), (), ())
# A row must be found different and unmoved this often before it is called different.
CONFIRMATIONS = 2


@dataclass
class _State:
    """Rows not yet found equal: *pending*, with what differed at the last look; *confirmed*: how often each was found unmoved and different."""

    pending: Comparison = NOTHING
    days: DayRange | None = None
    rows: int = 0
    fields: int = 0
    waiting: int = 0
    raw: RawDifference = NO_DIFFERENCE
    strange: frozenset[str] = frozenset()
    states: set[Key] = field(default_factory=set)
    confirmed: dict[Key, int] = field(default_factory=dict)

    @property
    def undecided(self) -> frozenset[Key]:
        return frozenset(key for key in self.pending.unequal_keys if self.confirmed.get(key, 0) < CONFIRMATIONS)


def verify(
    settings: ReconciliationSettings,
    first: date | None,
    last: date | None,
    progress: Progress = lambda _: None,
    *,
    generation: int | None = None,
    states: StateCheck | None = None,
    owners: bool = False,
) -> Verification:
    """Compare the reports of the days *first* … *last* (None: without that bound), as readers see them or as *generation* holds them, and raw telemetry.

    *states* also looks at what the processor keeps of each report; only its own code can read that, and none of it is imported here.
    *owners* also looks whether the ownership documents in force are what the CRM says.
    Changes nothing but the barrier in the heartbeat rows.

    Raises BarrierError, MartError, psycopg.Error, KafkaException and clickhouse_driver's errors.
    """
    oracle = Oracle(SourceMapping.read(settings.reconciliation.mapping))
    with serving_mart(settings.clickhouse, generation) as mart, ConsistentSnapshots(settings, oracle, mart) as snapshots:
        return Verifier(settings, mart, snapshots, progress, states, owners).run(first, last)


@dataclass(frozen=True)
class Verifier:
    """The rounds of one verification."""

    settings: ReconciliationSettings
    mart: Mart
    snapshots: ConsistentSnapshots
    progress: Progress
    states: StateCheck | None = None
    owners: bool = False

    def run(self, first: date | None, last: date | None) -> Verification:
        """All rounds; see the module."""
        began = time.monotonic()
        kept_since = self.mart.retention.first_verifiable(datetime.now(UTC).date())
        asked, first = first, max(filter(None, (first, kept_since)), default=None)
        limits = self.settings.reconciliation
        state = _State()
        with self.snapshots.take() as snapshot:
            asked_days = DayRange(max(first, FIRST_DAY), min(last, LAST_DAY)) if first and last else None
            events = snapshot.oracle.event_days(snapshot.telemetry, asked_days)
            self._whole(snapshot, events, first, last, state)
            state.raw = RawComparison(self.settings, self.mart, snapshot, self.progress).run(events, first, last)
            if self.owners:
                state.strange = differing_anywhere(self.mart.all_documents(), snapshot.intervals)
            previous = snapshot.barrier
        rounds = 1
        while (state.undecided and rounds < limits.rounds) or (rounds == 1 and (state.raw or state.strange)):
            time.sleep(min(limits.backoff_s * 2 ** (rounds - 1), MAX_BACKOFF_S))
            rounds += 1
            with self.snapshots.take() as snapshot:
                if state.undecided:
                    self.progress(f"round {rounds}: {len(state.undecided)} rows differ or move")
                    self._again(snapshot, previous, state)
                if rounds == 2:
                    self._settle(snapshot, events, first, last, state)
                previous = snapshot.barrier
        real = {key for key in state.pending.unequal_keys if state.confirmed.get(key, 0) >= CONFIRMATIONS}
        counted = Comparison(state.rows, state.fields, *(getattr(state.pending, name) for name in ("differences", "missing", "surplus")))
        return Verification(
            generation=self.mart.database,
            days=state.days,
            rounds=rounds,
            found=only(counted, real),
            unverified=only(counted, state.pending.unequal_keys - real),
            waiting_for_owner=state.waiting,
            seconds=time.monotonic() - began,
            allow_unverified=limits.allow_unverified,
            raw=state.raw,
            strange=state.strange,
            states=frozenset(state.states - state.pending.unequal_keys),  # of a report that is wrong itself nothing more is said
            beyond=self._beyond(kept_since) if kept_since and (asked is None or asked < kept_since) else None,
        )

    def _beyond(self, kept_since: date) -> Beyond:
        return Beyond(kept_since, self.mart.rows_before(kept_since))

    def _whole(
        self, snapshot: ConsistentSnapshot, events: Mapping[date, int], first: date | None, last: date | None, state: _State
    ) -> None:
        """The first round: every row of every day, window by window. *events*: by UTC day."""
        limits = self.settings.reconciliation
        days = days_with_data(events, self.mart.days(), first, last)
        if not days:
            return
        state.days = DayRange(days[0], days[-1])
        for window in windows(days, events, limits.window_events, limits.window_days):
            found = compare(snapshot.oracle.each_report(snapshot.telemetry, snapshot.intervals, window), self.mart.each_report(window))
            if self.states is not None:
                state.states |= self.states(self.mart, window, snapshot.barrier)
            state.rows += found.rows
            state.fields += found.fields
            state.pending = _joined(state.pending, found)
            self.progress(f"{window.first} … {window.last}: {found.rows} rows, {len(found.unequal_keys)} differ or move")
        state.waiting = snapshot.oracle.unowned(snapshot.telemetry, snapshot.intervals, state.days)

    def _settle(
        self, snapshot: ConsistentSnapshot, events: Mapping[date, int], first: date | None, last: date | None, state: _State
    ) -> None:
        """The second look at raw and at ownership: what came or went between a snapshot and the reading of the tables differs at one look, not at two."""
        if state.raw:
            state.raw = state.raw.still(RawComparison(self.settings, self.mart, snapshot, self.progress).run(events, first, last))
        if state.strange:
            state.strange = differing(state.strange, self.mart.documents(sorted(state.strange)), snapshot.intervals)

    def _again(self, snapshot: ConsistentSnapshot, previous: Mapping[int, int], state: _State) -> None:
        """A later round: only the rows that differed."""
        keys, state.pending = state.pending.unequal_keys, NOTHING
        for days in windows(sorted({key.report_date for key in keys}), {}, 0, self.settings.reconciliation.window_days):
            among = frozenset(key for key in keys if days.first <= key.report_date <= days.last)
            state.pending = _joined(state.pending, self._again_within(days, among, snapshot, previous, state.confirmed))

    def _again_within(
        self, days: DayRange, keys: frozenset[Key], snapshot: ConsistentSnapshot, previous: Mapping[int, int], confirmed: dict[Key, int]
    ) -> Comparison:
        """Compare *keys*, all of *days*, and count in *confirmed* how often each has been found unmoved and different."""
        prostheses = sorted({key.prosthesis_id for key in keys})
        # The mart first: the snapshot stands still while the mart moves on.
        actual = {key: (values, position) for key, values, position in self.mart.reports_of(prostheses, days) if key in keys}
        ends = self.snapshots.log_ends()
        positions = {key: position for key, (_, position) in actual.items()} | self.mart.last_positions(keys - actual.keys())
        named = frozenset(prostheses)
        intervals = [interval for interval in snapshot.intervals if interval["prosthesis_id"] in named]
        expected = snapshot.oracle.each_report(snapshot.telemetry, intervals, days, prostheses)
        found = compare((report for report in expected if report[0] in keys), ((key, actual[key][0]) for key in sorted(actual)))
        for key in found.unequal_keys:
            unmoved = is_unmoved(positions.get(key), previous, ends)
            confirmed[key] = confirmed.get(key, 0) + 1 if unmoved else 0
        return found


def is_unmoved(position: Position | None, previous: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    """Whether a row of the mart has not changed since the barrier *previous*. A row that was never written has not.

    A version at or beyond the log's end, *ends* by partition, is no movement either: no record of the log can have made it.
    """
    if position is None:
        return True
    return position.version <= previous.get(position.partition, -1) or position.version >= ends.get(position.partition, 0)


def _joined(one: Comparison, other: Comparison) -> Comparison:
    return Comparison(
        rows=one.rows + other.rows,
        fields=one.fields + other.fields,
        differences=one.differences + other.differences,
        missing=one.missing + other.missing,
        surplus=one.surplus + other.surplus,
    )
