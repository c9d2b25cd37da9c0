"""Reports between the store and the cache: read what is missing, write what was touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from schemas.ownership import OwnershipDocument
from schemas.ownership import decode as decode_document
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.calendar import QUARTER_US, day_of_date
from stream_processor.domain.devices import NOT_ASKED, NOTHING, CellKey, Device, Devices
from stream_processor.domain.fold import FOLD_FORMAT, FoldTable
from stream_processor.domain.ownership import OwnershipHistory
from stream_processor.domain.report import ReportKey, mart_columns, report_key
from stream_processor.domain.states import NO_MARK, Page, StateCache
from stream_processor.ports import ReportStore, StateColumns, StoredState

REPORT_KEYS_A_DEVICE = 2
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
        rows = list(self._store.states([(day, self._devices[device].prosthesis_id) for device, day in pages]))
        usable = [row for row in rows if row.fold_format == FOLD_FORMAT]
        slots = [self._add(index[row.prosthesis_id], row, row.mark) for row in usable]
        self._states.folds.load(np.array(slots, dtype=np.int64), [row.fold for row in usable], [row.errors_by_code for row in usable])
        for row in rows:
            if row.fold_format != FOLD_FORMAT:
                # Of a former layout: the report exists and is not known; it is computed from raw when it is next asked for.
                self._add(index[row.prosthesis_id], row, NO_MARK)

    def _add(self, device: int, row: StoredState, mark: int) -> int:
        cell = (device, row.day, row.user_id)
        return self._states.add(cell, self._day_starts_us(cell), mark, row.highest_id, stored=True)

    def _day_starts_us(self, cell: CellKey) -> int:
        return (self._devices.day_of(cell) or day_of_date("UTC", cell[1])).starts_us

    def slot_of(self, cell: CellKey) -> int:
        """The slot of a report of a loaded page; a new one if the report has no state yet.

        A new report begins with the highest id that raw has of the prosthesis on any day: an event that was once here may since have been moved away.
        """
        return int(self.slots_of([cell])[0])

    def slots_of(self, cells: Sequence[CellKey]) -> Ints:
        """The slots of many reports; what new ones need is read at once."""
        slots = [self._states.slot(cell) for cell in cells]
        new = [i for i, slot in enumerate(slots) if slot is None]
        highest = self.highest_raw(np.array([cells[i][0] for i in new], dtype=np.int64)).tolist() if new else []
        for i, highest_id in zip(new, highest, strict=True):
            slots[i] = self._states.add(cells[i], self._day_starts_us(cells[i]), highest_id=highest_id)
        return np.array(slots, dtype=np.int64)

    def is_fresh(self, cell: CellKey) -> bool:
        """Whether nothing is folded into the report yet."""
        slot = self._states.slot(cell)
        return slot is None or int(self._states.mark[slot]) == NO_MARK

    def with_raw(self, cells: Sequence[CellKey]) -> list[CellKey]:
        """Those of *cells* on whose day raw already has events of the prosthesis."""
        if self._integer_ids:
            highest = self.highest_raw(np.array([cell[0] for cell in cells], dtype=np.int64))
            cells = [cell for cell, known in zip(cells, highest.tolist(), strict=True) if known >= 0]
        if not cells:
            return []
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

    def write(self, cells: Iterable[CellKey]) -> int:
        """Write the mart rows of cached reports, and then their states. Returns how many."""
        chosen = list(cells)
        for first in range(0, len(chosen), REPORTS_AT_ONCE):
            self._write(chosen[first : first + REPORTS_AT_ONCE])
        return len(chosen)

    def _write(self, chosen: Sequence[CellKey]) -> None:
        slots = self.slots_of(chosen)
        marks = self._states.mark[slots].tolist()
        self._announce(chosen, slots)
        self._store.write_reports(mart_columns([self._key(cell) for cell in chosen], slots, marks, self._states.folds))
        highest, folds = self._states.highest_id[slots].tolist(), self._states.folds
        errors = [folds.errors.get(slot, {}) for slot in slots.tolist()]
        self._store.write_states(self._columns(chosen, marks, highest, folds.dump(slots), errors))

    def _announce(self, cells: Sequence[CellKey], slots: Ints) -> None:
        """Before a report's first row in the mart, leave an empty state for it.

        A crash between mart and state would otherwise leave a report that no later recompute knows of, so that nobody would take it back.
        """
        new = np.flatnonzero(~self._states.stored[slots])
        if not len(new):
            return
        empty = FoldTable(1).dump(np.zeros(1, np.int64))[0]
        count = len(new)
        highest = self._states.highest_id[slots[new]].tolist()
        self._store.write_states(self._columns([cells[i] for i in new.tolist()], [NO_MARK] * count, highest, [empty] * count, [{}] * count))
        self._states.stored[slots[new]] = True

    def _key(self, cell: CellKey) -> ReportKey:
        """What the row of a report says beside its numbers; remembered until the prosthesis's ownership changes."""
        device = self._devices[cell[0]]
        key = device.report_keys.get(cell)
        if key is None:
            if len(device.report_keys) >= REPORT_KEYS_A_DEVICE:
                device.report_keys.clear()
            key = device.report_keys[cell] = self._make_key(cell, device)
        return key

    def _make_key(self, cell: CellKey, device: Device) -> ReportKey:
        day = self._devices.day_of(cell) or day_of_date("UTC", cell[1])
        if device.history is None:
            unknown = OwnershipDocument(device.prosthesis_id, -1, "", "", ())
            return report_key(cell[2], day, unknown, None, device.partition)
        return report_key(cell[2], day, device.history.document, device.history.of_day(cell[2], day), device.partition)

    def _columns(
        self,
        cells: Sequence[CellKey],
        marks: Sequence[int],
        highest: Sequence[int],
        folds: Sequence[bytes],
        errors: Sequence[dict[str, int]],
    ) -> StateColumns:
        devices, days, users = zip(*cells, strict=True)
        of = [self._devices[device] for device in devices]
        return StateColumns(
            day=days,
            prosthesis_id=[device.prosthesis_id for device in of],
            user_id=users,
            mark=marks,
            highest_id=highest,
            fold=folds,
            errors_by_code=errors,
            partition=[device.partition for device in of],
        )
