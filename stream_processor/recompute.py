"""Recompute: the one repair path. Reports of (prosthesis, days) from raw, up to the prosthesis's last offset in the batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from schemas.ranges import END_US, FIRST_DAY, LAST_DAY
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.calendar import HOUR_US, day_number, local_day
from stream_processor.domain.devices import Devices, ReportId
from stream_processor.domain.duplicates import EventId, KnownEvent
from stream_processor.domain.states import Page, StateCache
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
    """Runs the pending recomputes of a batch, a window of days and prostheses at a time, so that memory is bounded by a window."""

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
        first_open_day: int | None = None,
        budget: int | None = None,
    ) -> int:
        """Compute and write the reports concerned, of the days from *first_open_day* on: raw of earlier ones may have expired. Returns how many.

        Once *budget* events were read (None: no bound) it returns; what is left to do stays in *pending*, for a later call with it.
        Idempotent: a state that already includes more than a recompute's offset is written again as it is, or left, where it includes more than is *handled* of its partition.
        """
        if not pending:
            return 0
        self._delete(pending)
        self._find_days(pending)
        if first_open_day is not None:
            _leave_closed(pending, first_open_day)
        written = self._read_events = 0
        for devices, days in list(self._windows(pending)):
            pages = [(device, day) for device in devices for day in days if day in pending[device].days]
            written += self._reports.write(self._compute(pages, pending, handled))
            for device, day in pages:
                pending[device].days.discard(day)
            if budget is not None and self._read_events >= budget:
                break
        return written

    def _delete(self, pending: Mapping[int, PendingRecompute]) -> None:
        """Mark events that count no more as deleted, at the LSN told, or just above their own, so that a redelivered insert stays below."""
        ids: dict[EventId, tuple[int, int, int | None]] = {
            (self._devices[device].prosthesis_id, hi, lo): (device, up_to, lsn)
            for device, work in pending.items()
            for hi, lo, up_to, lsn in work.deletes
        }
        known = self._store.known_events(sorted(ids)) if ids else {}
        for work in pending.values():
            work.deletes.clear()
        meant = [(i, event) for i, event in known.items() if event.deleted or _is_meant(event, *ids[i][1:])]
        for event_id, event in meant:
            # Also where it is deleted already: a crash may have come between raw and the report.
            for instant in event.instants:
                pending[ids[event_id][0]].instants.append(instant)
        gone = [(event_id, event) for event_id, event in meant if not event.deleted]
        if not gone:
            return
        rows = TelemetryColumns.blank(len(gone))
        for i, (event_id, event) in enumerate(gone):
            device = ids[event_id][0]
            rows.event_id_hi[i], rows.event_id_lo[i] = event_id[1:]
            told = ids[event_id][2]
            rows.recorded_us[i], rows.lsn[i], rows.deleted[i] = event.recorded_us, event.lsn + 1 if told is None else told, 1
            rows.partition[i], rows.offset[i], rows.device[i] = self._devices[device].partition, pending[device].offset, device
        self._store.write_telemetry(self._devices.prosthesis_ids[rows.device], rows, [event.former for _, event in gone])

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
                owner = history.at(instant) if history is not None else None
                if owner is not None:
                    work.add_day(local_day(owner.timezone, instant).number)
            work.instants.clear()
            work.days = {day for day in work.days if _FIRST_DAY <= day <= _LAST_DAY}

    def _windows(self, pending: Mapping[int, PendingRecompute]) -> Iterator[tuple[Sequence[int], range]]:
        """Groups of prostheses and ranges of days that have something to do."""
        busy = [device for device, work in pending.items() if work.days]
        for first in range(0, len(busy), WINDOW_DEVICES):
            devices = busy[first : first + WINDOW_DEVICES]
            days = {day for device in devices for day in pending[device].days}
            for start in sorted({day - day % WINDOW_DAYS for day in days}):
                yield from _split(devices, range(start, start + WINDOW_DAYS), pending)

    def _compute(self, pages: Sequence[Page], pending: Mapping[int, PendingRecompute], handled: Mapping[int, int]) -> set[ReportId]:
        """Fold raw into the reports of *pages*; reports that raw has nothing of become empty. Returns those to be written."""
        if not pages:
            return set()
        self._reports.load(pages)
        wanted = set(pages)
        begun = _Begun(self._states, self._devices, self._reports, pending)
        begun.begin({report for page in pages for report in self._states.reports_of_page(page)})
        begun.begin({(device, day, user) for device, work in pending.items() for user, day in work.reports if (device, day) in wanted})
        for events in self._read(pages, pending):
            reports, index = self._devices.reports_of(events.device, events.recorded_us)
            begun.begin({report for report in reports if report[:2] in wanted})
            self._fold(events, index, reports, begun.open)
        # A state that includes records which this worker has not come to is left: whose it is by then is not known here.
        closed = (report for report, to in begun.closed.items() if to <= handled.get(self._devices[report[0]].partition, -1))
        return {*begun.open, *closed}

    def _read(self, pages: Sequence[Page], pending: Mapping[int, PendingRecompute]) -> Iterator[TelemetryColumns]:
        """Raw of the pages' prostheses around their days, each up to its own work's offset, without what is erased and still waits for its removal. In parts, in no order."""
        index = {self._devices[device].prosthesis_id: device for device, _ in pages}
        first, last = min(day for _, day in pages), max(day for _, day in pages)
        for ids, events in self._store.telemetry(sorted(index), first * DAY_US - ZONE_SPAN_US, (last + 1) * DAY_US + ZONE_SPAN_US):
            events.device = np.array([index[prosthesis_id] for prosthesis_id in ids], dtype=np.int64)
            limit = np.array([pending[device].offset for device in events.device.tolist()], dtype=np.int64)
            within = events.offset <= limit
            within &= events.recorded_us < END_US  # an earlier version took later ones in
            erased = self._erasures.inside(events)
            self._read_events += len(events)
            yield events.take(within if erased is None else within & ~erased)

    def _fold(self, events: TelemetryColumns, index: Ints, reports: Sequence[ReportId], rows: Mapping[ReportId, int]) -> None:
        row_of_report = np.array([rows.get(report, -1) for report in reports] or [-1], dtype=np.int64)
        at = np.where(index >= 0, row_of_report[index], -1)
        chosen = np.flatnonzero(at >= 0)
        self._states.folds.fold(at[chosen], events.take(chosen))


class _Begun:
    """The reports of one window that a recompute has come upon: *open* ones were emptied and reach as far as their work, with their rows in the cache.

    *closed* ones already included more than that, up to the offset told, and must not go back.
    """

    def __init__(self, states: StateCache, devices: Devices, reports: Reports, pending: Mapping[int, PendingRecompute]) -> None:
        self._states = states
        self._devices = devices
        self._reports = reports
        self._pending = pending
        self.open: dict[ReportId, int] = {}
        self.closed: dict[ReportId, int] = {}

    def begin(self, reports: set[ReportId]) -> None:
        """Those of *reports* that are new here."""
        new = sorted(reports - self.open.keys() - self.closed.keys())
        if not new:
            return
        rows = self._reports.rows_of(new)
        folded_to = self._states.folded_to[rows]
        reach = np.array([self._pending[report[0]].offset for report in new], dtype=np.int64)
        is_open = folded_to <= reach
        self.closed |= {new[i]: int(folded_to[i]) for i in np.flatnonzero(~is_open).tolist()}
        opened = {new[i]: int(rows[i]) for i in np.flatnonzero(is_open).tolist()}
        self._states.folds.reset(rows[is_open])
        self._states.folded_to[rows[is_open]] = reach[is_open]
        for report, row in opened.items():
            day = self._devices.day_of(report)
            if day is not None:
                self._states.folds.day_starts_us[row] = day.starts_us
        self.open |= opened


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
