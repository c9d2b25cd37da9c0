"""Reports between the store and the cache: read what is missing, write what was touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from schemas.ownership import OwnershipDocument
from schemas.ownership import decode as decode_document
from stream_processor.domain.calendar import QUARTER_US, day_of_date
from stream_processor.domain.columns import Ints, TelemetryColumns
from stream_processor.domain.devices import CellKey, Devices
from stream_processor.domain.fold import FOLD_FORMAT
from stream_processor.domain.ownership import OwnershipHistory
from stream_processor.domain.report import ReportKey, mart_columns
from stream_processor.domain.states import NO_MARK, Page, StateCache
from stream_processor.ports import ReportStore, StoredState


class Reports:
    """Reads pages of states into the cache, and writes reports with their states: reports first."""

    def __init__(self, store: ReportStore, devices: Devices, states: StateCache) -> None:
        self._store = store
        self._devices = devices
        self._states = states

    def load_ownership(self, devices: Iterable[int]) -> None:
        """Read the ownership of prostheses that have not been asked for."""
        unknown = {self._devices[i].prosthesis_id: i for i in devices if i >= 0 and not self._devices[i].ownership_loaded}
        if not unknown:
            return
        for row in self._store.ownership(sorted(unknown)):
            self._devices.set_history(unknown.pop(row.prosthesis_id), OwnershipHistory(decode_document(row.document)))
        for index in unknown.values():
            self._devices.set_history(index, None)

    def load(self, pages: Iterable[Page]) -> None:
        """Read the states of *pages* that the cache lacks, in one query."""
        missing = self._states.missing(dict.fromkeys(pages))
        if not missing:
            return
        index = {self._devices[device].prosthesis_id: device for device, _ in missing}
        for page in missing:
            self._states.add_page(page)
        rows = list(self._store.states([(day, self._devices[device].prosthesis_id) for device, day in missing]))
        usable = [row for row in rows if row.fold_format == FOLD_FORMAT]
        slots = [self._add(index[row.prosthesis_id], row) for row in usable]
        self._states.folds.load(np.array(slots, dtype=np.int64), [row.fold for row in usable], [row.errors_by_code for row in usable])

    def _add(self, device: int, row: StoredState) -> int:
        cell = (device, row.day, row.user_id)
        return self._states.add(cell, self._day_starts_us(cell), row.mark, row.highest_id)

    def _day_starts_us(self, cell: CellKey) -> int:
        return (self._devices.day_of(cell) or day_of_date("UTC", cell[1])).starts_us

    def slot_of(self, cell: CellKey) -> int:
        """The slot of a report of a loaded page; a new one if the report has no state yet."""
        slot = self._states.slot(cell)
        return self._states.add(cell, self._day_starts_us(cell)) if slot is None else slot

    def is_fresh(self, cell: CellKey) -> bool:
        """Whether the report has no state in the store."""
        slot = self._states.slot(cell)
        return slot is None or int(self._states.mark[slot]) == NO_MARK

    def with_raw(self, cells: Sequence[CellKey]) -> list[CellKey]:
        """Those of *cells* on whose day raw already has events of the prosthesis."""
        days = {cell: self._devices.day_of(cell) or day_of_date("UTC", cell[1]) for cell in cells}
        prostheses = sorted({self._devices[cell[0]].prosthesis_id for cell in cells})
        seen = self._store.has_telemetry(prostheses, min(d.starts_us for d in days.values()), max(d.ends_us for d in days.values()))
        if not seen:
            return []
        quarters: dict[str, list[int]] = {}
        for prosthesis_id, quarter in seen:
            quarters.setdefault(prosthesis_id, []).append(quarter)
        return [
            cell
            for cell, day in days.items()
            if any(day.starts_us <= q * QUARTER_US < day.ends_us for q in quarters.get(self._devices[cell[0]].prosthesis_id, ()))
        ]

    def highest_raw(self, devices: Ints) -> Ints:
        """The highest event id that raw has of the prosthesis of each event (−1: none)."""
        unknown = {self._devices[i].prosthesis_id: i for i in set(devices.tolist()) if self._devices[i].highest_raw is None}
        if unknown:
            found = self._store.highest_event_ids(sorted(unknown))
            for prosthesis_id, i in unknown.items():
                self._devices[i].highest_raw = found.get(prosthesis_id, -1)
        return np.array([self._devices[i].highest_raw for i in devices.tolist()], dtype=np.int64)

    def saw_raw(self, rows: TelemetryColumns) -> None:
        """Keep ``highest_raw`` true where it is known, after *rows* were written."""
        for i in set(rows.device.tolist()):
            device = self._devices[i]
            if device.highest_raw is not None:
                device.highest_raw = max(device.highest_raw, int(rows.event_id_lo[rows.device == i].max()))

    def write(self, cells: Iterable[CellKey]) -> int:
        """Write the mart rows of cached reports, and then their states. Returns how many."""
        chosen = sorted(cells, key=lambda cell: (cell[1], cell[0], cell[2]))
        if not chosen:
            return 0
        slots = np.array([self.slot_of(cell) for cell in chosen], dtype=np.int64)
        marks = self._states.mark[slots].tolist()
        self._store.write_reports(mart_columns([self._key(cell) for cell in chosen], slots, marks, self._states.folds))
        self._store.write_states(self._stored(chosen, slots, marks))
        return len(chosen)

    def _key(self, cell: CellKey) -> ReportKey:
        device = self._devices[cell[0]]
        day = self._devices.day_of(cell) or day_of_date("UTC", cell[1])
        if device.history is None:
            unknown = OwnershipDocument(device.prosthesis_id, -1, "", "", ())
            return ReportKey(cell[2], day, unknown, None, device.partition)
        return ReportKey(cell[2], day, device.history.document, device.history.of_day(cell[2], day), device.partition)

    def _stored(self, cells: Sequence[CellKey], slots: Ints, marks: Sequence[int]) -> list[StoredState]:
        folds = self._states.folds
        return [
            StoredState(
                cell[1],
                self._devices[cell[0]].prosthesis_id,
                cell[2],
                mark,
                highest,
                FOLD_FORMAT,
                fold,
                folds.errors.get(slot, {}),
                self._devices[cell[0]].partition,
            )
            for cell, slot, mark, highest, fold in zip(
                cells, slots.tolist(), marks, self._states.highest_id[slots].tolist(), folds.dump(slots), strict=True
            )
        ]
