"""Recompute: the one repair path. Reports of (prosthesis, days) from raw, up to the prosthesis's last offset in the batch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

from schemas.ranges import END_US, FIRST_DAY, LAST_DAY
from schemas.raw_telemetry import TelemetryColumns
from stream_processor import ports
from stream_processor.domain.calendar import HOUR_US, QUARTER_US, day_number, local_day
from stream_processor.domain.devices import Devices, ReportId
from stream_processor.domain.duplicates import EventId, KnownEvent
from stream_processor.domain.states import StateCache
from stream_processor.domain.window_fold import WindowFold
from stream_processor.erasures import Erasures
from stream_processor.pending import PendingRecompute
from stream_processor.ports import ReportStore
from stream_processor.reports import Reports

DAY_US = 24 * HOUR_US
ZONE_SPAN_US = 15 * HOUR_US  # no zone is further from UTC
WINDOW_DAYS = 31
WINDOW_DEVICES = 64
WINDOW_EVENTS = 200_000
WINDOW_DAYS_UNASKED = 7  # so few days are computed without asking how large they are
_FIRST_DAY, _LAST_DAY = day_number(FIRST_DAY), day_number(LAST_DAY)


def _is_meant(event: KnownEvent, up_to: int, lsn: int | None) -> bool:
    """Whether what raw has of an event is from no later than what is to be deleted."""
    return event.offset <= up_to and (lsn is None or event.lsn <= lsn)


def _leave_closed(pending: Mapping[int, PendingRecompute], first_open_day: int) -> None:
    for work in pending.values():
        closed = {day for day in work.days if day < first_open_day}
        work.refused += len(closed)
        work.days -= closed


class Recompute:
    """Runs the pending recomputes of a batch, a window of days and prostheses at a time, so that memory is bounded by a window.

    A window is folded in a table of its own (``WindowFold``), which the work keeps where it is left between two parts of raw; what is cached is touched when it is whole.
    """

    def __init__(self, store: ReportStore, devices: Devices, states: StateCache, reports: Reports, erasures: Erasures) -> None:
        self._erasures = erasures
        self._store = store
        self._devices = devices
        self._states = states
        self._reports = reports
        self._read_events = 0

    def run(
        self,
        pending: Mapping[int, PendingRecompute],
        handled: Mapping[int, int],
        reached: Mapping[int, int],
        first_open_day: int | None = None,
        budget: int | None = None,
    ) -> int:
        """Compute and write the reports concerned, of the days from *first_open_day* on: raw of earlier ones may have expired. Returns how many.

        Once *budget* events were read (None: no bound) it returns; what is left to do stays in *pending*, for a later call with it. So does the work of a prosthesis of which raw has
        something from beyond what is *reached* of its partition: it waits for that record.
        Idempotent: a state that already includes more than a recompute's offset is written again as it is, or left, where it includes more than is *handled* of its partition.
        """
        if not pending:
            return 0
        self._delete(pending)
        self._find_days(pending)
        if first_open_day is not None:
            _leave_closed(pending, first_open_day)
        begun = list(_begun(pending))
        of_begun = [device for fold in begun for device in fold.up_to]

        def ahead(devices: Collection[int]) -> set[int]:
            return set() if budget is None else self._ahead({device: pending[device] for device in devices}, reached)

        ready = pending.keys() - ahead(pending.keys())
        # What was left within a window has a budget of its own: neither it nor the others wait for each other.
        written = self._compute(self._new_folds(ready - set(of_begun), pending), pending, handled, ahead, budget)
        return written + self._compute(chain(begun, self._new_folds(of_begun, pending)), pending, handled, ahead, budget)

    def _ahead(self, pending: Mapping[int, PendingRecompute], reached: Mapping[int, int]) -> set[int]:
        """The devices of *pending* of which raw has something from ahead.

        Raw has an event's newest content alone. Where a crash came between raw and the reports, the records before it are handled again without what raw had of the event at their time:
        a report that is computed anew by then would lack it, for as long as it takes to come to that record.
        """
        reach = {
            self._devices[device].prosthesis_id: max(work.offset, reached.get(self._devices[device].partition, -1))
            for device, work in pending.items()
        }
        ahead = self._store.from_ahead(reach) if reach else set()
        return {device for device in pending if self._devices[device].prosthesis_id in ahead}

    def _compute(
        self,
        folds: Iterable[WindowFold],
        pending: Mapping[int, PendingRecompute],
        handled: Mapping[int, int],
        ahead: Callable[[Collection[int]], set[int]],
        budget: int | None,
    ) -> int:
        """Fold and write window by window until the budget is spent, which may leave the last one within it. Returns how many reports were written.

        Raw is asked once more after a window was read: who has taken the partition over may have written meanwhile, and what was read may lack an event by then.
        """
        written = self._read_events = 0
        for fold in folds:
            works = [pending[device] for device in fold.up_to]
            if not self._go_on(fold, pending, budget if all(work.may_be_left for work in works) else None):
                for work in works:
                    work.fold = fold
                break
            if ahead(fold.up_to.keys()):
                for work in works:
                    work.fold = None
                continue
            written += self._reports.write(self._finish(fold, pending, handled))
            for device, day in fold.pages:
                pending[device].days.discard(day)
                pending[device].fold = None
            if self._is_spent(budget):
                break
        return written

    def _is_spent(self, budget: int | None) -> bool:
        return budget is not None and self._read_events >= budget

    def _delete(self, pending: Mapping[int, PendingRecompute]) -> None:
        """Mark events that count no more as deleted, at the LSN told, or just above their own, so that a redelivered insert stays below."""
        asked = [
            ((self._devices[device].prosthesis_id, hi, lo), device, up_to, lsn)
            for device, work in pending.items()
            for hi, lo, up_to, lsn in work.deletes
        ]
        known = self._store.known_events(sorted({event_id for event_id, *_ in asked})) if asked else {}
        for work in pending.values():
            work.deletes.clear()
        gone: dict[EventId, tuple[int, int]] = {}
        # One event may be asked for more than once in a batch, by a change and by a command; each of them counts.
        for event_id, device, up_to, lsn in asked:
            event = known.get(event_id)
            if event is None or not (event.deleted or _is_meant(event, up_to, lsn)):
                continue
            # Also where it is deleted already: a crash may have come between raw and the report.
            pending[device].instants.extend(event.instants)
            if not event.deleted:
                at = event.lsn + 1 if lsn is None else lsn
                gone[event_id] = device, max(at, gone.get(event_id, (device, at))[1])
        if not gone:
            return
        rows = TelemetryColumns.blank(len(gone))
        for i, (event_id, (device, lsn)) in enumerate(gone.items()):
            rows.event_id_hi[i], rows.event_id_lo[i] = event_id[1:]
            rows.recorded_us[i], rows.lsn[i], rows.deleted[i] = known[event_id].recorded_us, lsn, 1
            rows.partition[i], rows.offset[i], rows.device[i] = self._devices[device].partition, pending[device].offset, device
        self._store.write_telemetry(self._devices.prosthesis_ids[rows.device], rows, [known[event_id].former for event_id in gone])

    def _find_days(self, pending: Mapping[int, PendingRecompute]) -> None:
        """Instants become local days, and "everything" the days that raw knows of, each with its neighbours: zones may have moved the cut.

        Days that no report can have, which only a command can name, are left out.
        """
        large = {
            device for device, work in pending.items() if work.sizes is None and (work.everything or len(work.days) > WINDOW_DAYS_UNASKED)
        }
        if large:
            sizes = self._store.days_with_telemetry(sorted(self._devices[device].prosthesis_id for device in large))
            for device in large:
                work = pending[device]
                work.sizes = sizes.get(self._devices[device].prosthesis_id, {})
                if work.everything:
                    work.days.update(day + shift for day in work.sizes for shift in (-1, 0, 1))
        for device, work in pending.items():
            history = self._devices[device].history
            for instant in work.instants:
                if work.everything:  # under an earlier document it may have been another day, or another owner's
                    work.days.update(instant // DAY_US + shift for shift in (-1, 0, 1))
                for one in (history, *work.former):
                    owner = one.at(instant) if one is not None else None
                    if owner is not None:
                        work.add_report(owner.user_id, local_day(owner.timezone, instant).number)
            work.instants.clear()
            work.days = {day for day in work.days if _FIRST_DAY <= day <= _LAST_DAY}
            parts = {part for one in work.former for part in one.parts_unlike(history, work.days)}
            work.reports.update(self._that_raw_has(self._devices[device].prosthesis_id, parts))
            work.former.clear()

    def _that_raw_has(self, prosthesis_id: str, parts: Collection[tuple[str, int, int, int]]) -> Iterator[tuple[str, int]]:
        """(user, day) of those *parts* of days, as ``OwnershipHistory.parts_unlike`` tells them, in which raw has anything."""
        if not parts:
            return
        begin, end = min(part[2] for part in parts), max(part[3] for part in parts)
        quarters = sorted(quarter for _, quarter in self._store.has_telemetry([prosthesis_id], begin, end))
        for user_id, day, begins_us, ends_us in parts:
            at = bisect_left(quarters, begins_us // QUARTER_US)
            if at < len(quarters) and quarters[at] * QUARTER_US < ends_us:
                yield user_id, day

    def _new_folds(self, devices: Collection[int], pending: Mapping[int, PendingRecompute]) -> Iterator[WindowFold]:
        """The windows of *devices*, one after the other: their works may have changed by what was done of the windows before."""
        for among, days in self._windows([device for device in pending if device in devices and pending[device].days], pending):
            pages = [(device, day) for device in among for day in days if day in pending[device].days]
            if pages:
                yield WindowFold.begin(pages, {device: pending[device].offset for device, _ in pages})

    def _windows(self, busy: Sequence[int], pending: Mapping[int, PendingRecompute]) -> Iterator[tuple[Sequence[int], range]]:
        """Groups of prostheses and ranges of days that have something to do."""
        for first in range(0, len(busy), WINDOW_DEVICES):
            devices = busy[first : first + WINDOW_DEVICES]
            days = {day for device in devices for day in pending[device].days}
            for start in sorted({day - day % WINDOW_DAYS for day in days}):
                yield from _split(devices, range(start, start + WINDOW_DAYS), pending)

    def _go_on(self, fold: WindowFold, pending: Mapping[int, PendingRecompute], budget: int | None) -> bool:
        """Read and fold until *fold* reaches as far as its works do now. False: it was left after a part, because the budget is spent."""
        reach = {device: pending[device].offset for device in fold.up_to}
        wanted = set(fold.pages)
        while True:
            for events, may_have_more in self._read(fold):
                reports, index = self._devices.reports_of(events.device, events.recorded_us)
                self._add(fold, (report for report in reports if report[:2] in wanted))
                fold.fold(events, reports, index)
                if may_have_more and self._is_spent(budget):
                    return False
            if fold.up_to == reach:
                return True
            fold.go_on_to(reach)

    def _read(self, fold: WindowFold) -> Iterator[tuple[TelemetryColumns, bool]]:
        """What the fold's pass has still to read of raw around its days, without what is erased and still waits for its removal; in parts, each with whether there may be more."""
        index = {self._devices[device].prosthesis_id: device for device in fold.up_to}
        days = [day for _, day in fold.pages]
        begin, end = min(days) * DAY_US - ZONE_SPAN_US, (max(days) + 1) * DAY_US + ZONE_SPAN_US
        for ids, events in self._store.telemetry(sorted(index), begin, end, fold.after, min(fold.since.values())):
            events.device = np.array([index[prosthesis_id] for prosthesis_id in ids], dtype=np.int64)
            self._read_events += len(events)
            fold.after = ids[-1], int(events.event_id_hi[-1]), int(events.event_id_lo[-1])
            taken = fold.of_this_pass(events)
            taken &= events.recorded_us < END_US  # an earlier version took later ones in
            erased = self._erasures.inside(events)
            yield events.take(taken if erased is None else taken & ~erased), len(events) >= ports.TELEMETRY_AT_ONCE

    def _add(self, fold: WindowFold, reports: Iterable[ReportId]) -> None:
        for report in reports:
            day = self._devices.day_of(report)
            fold.add(report, day.starts_us if day is not None else 0)

    def _finish(self, fold: WindowFold, pending: Mapping[int, PendingRecompute], handled: Mapping[int, int]) -> set[ReportId]:
        """The fold becomes the cached states of its pages; reports that raw has nothing of become empty. Returns those to be written.

        A state that already includes more than the work must not go back, and one that includes records which this worker has not come to is left: whose it is by then is not known here.
        """
        self._reports.load(fold.pages)
        wanted = set(fold.pages)
        announced = {(device, day, user) for device in fold.up_to for user, day in pending[device].reports if (device, day) in wanted}
        stored = {report for page in fold.pages for report in self._states.reports_of_page(page)}
        reports = sorted(announced | stored | fold.rows.keys())
        self._add(fold, reports)
        rows = self._reports.rows_of(reports)
        folded_to = self._states.folded_to[rows]
        reach = np.array([fold.up_to[device] for device, _, _ in reports], dtype=np.int64)
        is_open = folded_to <= reach
        self._states.folds.copy(rows[is_open], fold.table, fold.rows_of(reports)[is_open])
        self._states.folded_to[rows[is_open]] = reach[is_open]
        for report, row, opened in zip(reports, rows.tolist(), is_open.tolist(), strict=True):
            day = self._devices.day_of(report) if opened else None
            if day is not None:
                self._states.folds.day_starts_us[row] = day.starts_us
        known = np.array([handled.get(self._devices[device].partition, -1) for device, _, _ in reports], dtype=np.int64)
        return {reports[i] for i in np.flatnonzero(is_open | (folded_to <= known)).tolist()}


def _begun(pending: Mapping[int, PendingRecompute]) -> Iterator[WindowFold]:
    """The folds that were left between two parts and hold. Where one of a window's works was disturbed, or one of its days is closed by now, all of them give it up."""
    for fold in {work.fold: None for work in pending.values() if work.fold is not None}:
        if all(pending[device].fold is fold and day in pending[device].days for device, day in fold.pages):
            yield fold
        else:
            for device in fold.up_to:
                pending[device].disturb()


def _split(devices: Sequence[int], days: range, pending: Mapping[int, PendingRecompute]) -> Iterator[tuple[Sequence[int], range]]:
    """The window, halved by prostheses and then by days until each part holds at most WINDOW_EVENTS events, or is one prosthesis's day."""
    if sum(pending[device].size(days) for device in devices) <= WINDOW_EVENTS or (len(devices) == 1 and len(days) == 1):
        yield devices, days
    elif len(devices) > 1:
        yield from _split(devices[: len(devices) // 2], days, pending)
        yield from _split(devices[len(devices) // 2 :], days, pending)
    else:
        yield from _split(devices, days[: len(days) // 2], pending)
        yield from _split(devices, days[len(days) // 2 :], pending)
