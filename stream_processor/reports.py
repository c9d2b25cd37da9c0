"""Reports between the store and the cache: read what is missing, write what was touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from schemas.ownership import OwnershipDocument
from schemas.ownership import decode as decode_document
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.calendar import QUARTER_US, day_of_date
from stream_processor.domain.devices import NOT_ASKED, NOTHING, Device, Devices, ReportId
from stream_processor.domain.fold import FOLD_FORMAT, FoldTable
from stream_processor.domain.ownership import OwnershipHistory
from stream_processor.domain.report import ReportAttributes, mart_columns, report_attributes
from stream_processor.domain.states import NOTHING_FOLDED, Page, StateCache
from stream_processor.ports import ReportStore, StateColumns, StoredState

ATTRIBUTES_PER_DEVICE = 2
REPORTS_AT_ONCE = 8_000  # of about 5 KiB each on their way from or to the store


class Reports:
    """Reads pages of states into the cache, and writes reports with their states: reports first."""

    def __init__(self, store: ReportStore, devices: Devices, states: StateCache, *, integer_ids: bool) -> None:
        self._store = store
        self._devices = devices
        self._states = states
        self._integer_ids = integer_ids

    def load_ownership(self, devices: Ints) -> None:
        """Read the ownership of prostheses that have not been asked for."""
        unasked = np.unique(devices[~self._devices.ownership_loaded[devices]]).tolist() if len(devices) else []
        unknown = {self._devices[i].prosthesis_id: i for i in unasked}
        if not unknown:
            return
        for row in self._store.ownership(sorted(unknown)):
            self._devices.set_history(unknown.pop(row.prosthesis_id), OwnershipHistory(decode_document(row.document)))
        for index in unknown.values():
            self._devices.set_history(index, None)

    def load(self, pages: Iterable[Page]) -> None:
        """Read the states of *pages* that the cache lacks."""
        missing = self._states.missing(dict.fromkeys(pages))
        if not missing:
            return
        index = {self._devices[device].prosthesis_id: device for device, _ in missing}
        for page in missing:
            self._states.add_page(page)
        for first in range(0, len(missing), REPORTS_AT_ONCE):
            self._load(missing[first : first + REPORTS_AT_ONCE], index)

    def _load(self, pages: Sequence[Page], index: dict[str, int]) -> None:
        stored = list(self._store.states([(day, self._devices[device].prosthesis_id) for device, day in pages]))
        usable = [state for state in stored if state.fold_format == FOLD_FORMAT]
        rows = [self._add(index[state.prosthesis_id], state, state.folded_to) for state in usable]
        self._states.folds.load(
            np.array(rows, dtype=np.int64), [state.fold for state in usable], [state.errors_by_code for state in usable]
        )
        for state in stored:
            if state.fold_format != FOLD_FORMAT:
                # Of a former layout: the report exists and is not known; it is computed from raw when it is next asked for.
                self._add(index[state.prosthesis_id], state, NOTHING_FOLDED)

    def _add(self, device: int, state: StoredState, folded_to: int) -> int:
        report = (device, state.day, state.user_id)
        return self._states.add(report, self._day_starts_us(report), folded_to, stored=True)

    def _day_starts_us(self, report: ReportId) -> int:
        return (self._devices.day_of(report) or day_of_date("UTC", report[1])).starts_us

    def rows_of(self, reports: Sequence[ReportId]) -> Ints:
        """The rows of reports of loaded pages, new ones for those without a state."""
        rows = [self._states.row(report) for report in reports]
        for i, row in enumerate(rows):
            if row is None:
                rows[i] = self._states.add(reports[i], self._day_starts_us(reports[i]))
        return np.array(rows, dtype=np.int64)

    def is_fresh(self, report: ReportId) -> bool:
        """Whether nothing is folded into the report yet."""
        row = self._states.row(report)
        return row is None or int(self._states.folded_to[row]) == NOTHING_FOLDED

    def with_raw(self, reports: Sequence[ReportId]) -> list[ReportId]:
        """Those of *reports* on whose day raw already has events of the prosthesis."""
        if self._integer_ids:
            highest = self.highest_raw(np.array([report[0] for report in reports], dtype=np.int64))
            reports = [report for report, known in zip(reports, highest.tolist(), strict=True) if known >= 0]
        if not reports:
            return []
        days = {report: self._devices.day_of(report) or day_of_date("UTC", report[1]) for report in reports}
        prostheses = sorted({self._devices[report[0]].prosthesis_id for report in reports})
        seen = self._store.has_telemetry(prostheses, min(d.starts_us for d in days.values()), max(d.ends_us for d in days.values()))
        if not seen:
            return []
        quarters: dict[str, list[int]] = {}
        for prosthesis_id, quarter in seen:
            quarters.setdefault(prosthesis_id, []).append(quarter)
        return [
            report
            for report, day in days.items()
            if any(day.starts_us <= q * QUARTER_US < day.ends_us for q in quarters.get(self._devices[report[0]].prosthesis_id, ()))
        ]

    def highest_raw(self, devices: Ints) -> Ints:
        """The highest event id that raw has of each prosthesis, deleted events included; −1: none, or ids that have no order."""
        unknown = np.unique(devices[self._devices.highest_raw[devices] == NOT_ASKED])
        if len(unknown):
            by_id = {self._devices[i].prosthesis_id: i for i in unknown.tolist()}
            found = self._store.highest_event_ids(sorted(by_id)) if self._integer_ids else {}
            self._devices.highest_raw[unknown] = NOTHING
            for prosthesis_id, highest in found.items():
                self._devices.highest_raw[by_id[prosthesis_id]] = highest
        return self._devices.highest_raw[devices]

    def saw_raw(self, rows: TelemetryColumns) -> None:
        """Keep ``highest_raw`` true where it is known, after *rows* were written."""
        if self._integer_ids:
            known = self._devices.highest_raw[rows.device] != NOT_ASKED
            np.maximum.at(self._devices.highest_raw, rows.device[known], rows.event_id_lo[known].astype(np.int64))

    def write(self, reports: Iterable[ReportId]) -> int:
        """Write the mart rows of cached reports, and then their states. Returns how many."""
        chosen = list(reports)
        for first in range(0, len(chosen), REPORTS_AT_ONCE):
            self._write(chosen[first : first + REPORTS_AT_ONCE])
        return len(chosen)

    def _write(self, chosen: Sequence[ReportId]) -> None:
        rows = self.rows_of(chosen)
        folded_to = self._states.folded_to[rows].tolist()
        self._announce(chosen, rows)
        self._store.write_reports(mart_columns([self._attributes(report) for report in chosen], rows, folded_to, self._states.folds))
        folds = self._states.folds
        errors = [folds.errors.get(row, {}) for row in rows.tolist()]
        self._store.write_states(self._columns(chosen, folded_to, folds.dump(rows), errors))

    def _announce(self, reports: Sequence[ReportId], rows: Ints) -> None:
        """Before a report's first row in the mart, leave an empty state for it.

        A crash between mart and state would otherwise leave a report that no later recompute knows of, so that nobody would take it back.
        """
        new = np.flatnonzero(~self._states.stored[rows])
        if not len(new):
            return
        empty = FoldTable(1).dump(np.zeros(1, np.int64))[0]
        count = len(new)
        self._store.write_states(self._columns([reports[i] for i in new.tolist()], [NOTHING_FOLDED] * count, [empty] * count, [{}] * count))
        self._states.stored[rows[new]] = True

    def _attributes(self, report: ReportId) -> ReportAttributes:
        """What the row of a report says beside its numbers; remembered until the prosthesis's ownership changes."""
        device = self._devices[report[0]]
        key = device.attributes.get(report)
        if key is None:
            if len(device.attributes) >= ATTRIBUTES_PER_DEVICE:
                device.attributes.clear()
            key = device.attributes[report] = self._make_attributes(report, device)
        return key

    def _make_attributes(self, report: ReportId, device: Device) -> ReportAttributes:
        day = self._devices.day_of(report) or day_of_date("UTC", report[1])
        if device.history is None:
            unknown = OwnershipDocument(device.prosthesis_id, -1, "", "", ())
            return report_attributes(report[2], day, unknown, None, device.partition)
        return report_attributes(report[2], day, device.history.document, device.history.of_day(report[2], day), device.partition)

    def _columns(
        self,
        reports: Sequence[ReportId],
        folded_to: Sequence[int],
        folds: Sequence[bytes],
        errors: Sequence[dict[str, int]],
    ) -> StateColumns:
        devices, days, users = zip(*reports, strict=True)
        of = [self._devices[device] for device in devices]
        return StateColumns(
            day=days,
            prosthesis_id=[device.prosthesis_id for device in of],
            user_id=users,
            folded_to=folded_to,
            fold=folds,
            errors_by_code=errors,
            partition=[device.partition for device in of],
        )
