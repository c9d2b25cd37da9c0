"""The prostheses a worker knows: record key → index, ownership history, and which (user, day) an instant belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.keys import partition_of, prosthesis_key
from stream_processor.domain.calendar import QUARTER_US, LocalDay, day_of_date, day_of_quarter, local_day
from stream_processor.domain.columns import Ints
from stream_processor.domain.ownership import OwnershipHistory

MAX_CELLS = 500_000
NOBODY = None

CellKey = tuple[int, int, str]  # (device, day number, user_id): one report


@dataclass(slots=True)
class Device:
    """One prosthesis. ``history`` None: no ownership document is known. ``highest_raw`` None: not asked yet."""

    index: int
    prosthesis_id: str
    partition: int
    history: OwnershipHistory | None = None
    ownership_loaded: bool = False
    highest_raw: int | None = None


class Misplaced(ValueError):  # noqa: N818 - named for what it is
    """A record whose key is not its prosthesis id, or which lies in another partition than its key's."""


class Devices:
    """Interns record keys, so that the hot path works on integers. Grows with the prostheses of the assigned partitions."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._by_key: dict[bytes, int] = {}
        self._all: list[Device] = []
        self._cells: dict[int, CellKey | None] = {}

    def __getitem__(self, index: int) -> Device:
        return self._all[index]

    def __len__(self) -> int:
        return len(self._all)

    def index_of(self, key: bytes, partition: int, prosthesis_id: Any) -> int:
        """The index of the prosthesis with record key *key*; a new one is added after its placement is checked.

        Raises Misplaced: such a record would be folded by two owners of state, or under another prosthesis.
        """
        try:
            expected = prosthesis_key(prosthesis_id)
        except ValueError as error:
            raise Misplaced(str(error)) from None
        if key != expected:
            raise Misplaced(f"key {key[:64]!r} is not the prosthesis id")
        right = partition_of(key, self._partitions)
        if partition != right:
            raise Misplaced(f"key {key[:64]!r} belongs to partition {right}, not {partition}")
        index = self._by_key.get(key)
        if index is None:
            index = self._by_key[key] = len(self._all)
            self._all.append(Device(index, key.decode(), partition))
        return index

    def indices(self, keys: list[bytes], ids: list[Any], partitions: Ints) -> tuple[Ints, list[tuple[int, str]]]:
        """The index of each record's prosthesis (−1 where misplaced), and (position, reason) of the misplaced."""
        known = self._by_key
        found = [known.get(key, -1) for key in keys]
        result = np.array(found, dtype=np.int64)
        misplaced: list[tuple[int, str]] = []
        for i in np.flatnonzero((result < 0) | ~self._agree(result, ids, partitions)).tolist():
            try:
                result[i] = self.index_of(keys[i], int(partitions[i]), ids[i])
            except Misplaced as error:
                result[i] = -1
                misplaced.append((i, str(error)))
        return result, misplaced

    def _agree(self, indices: Ints, ids: list[Any], partitions: Ints) -> Ints:
        """Which records of known prostheses carry the id and lie in the partition that their key says (True where unknown)."""
        if not self._all:
            return np.ones(len(ids), dtype=bool)
        wanted = self._all
        return np.fromiter(
            (
                i < 0 or (wanted[i].prosthesis_id == str(value) and wanted[i].partition == partition)
                for i, value, partition in zip(indices.tolist(), ids, partitions.tolist(), strict=True)
            ),
            dtype=bool,
            count=len(ids),
        )

    def set_history(self, index: int, history: OwnershipHistory | None) -> None:
        """Replace a prosthesis's ownership; what was derived from the old one is forgotten."""
        device = self._all[index]
        device.ownership_loaded = True
        if device.history is not None or history is not None:
            self._cells.clear()
        device.history = history

    def cells(self, device: Ints, recorded_us: Ints) -> tuple[list[CellKey], Ints]:
        """The reports that events belong to, and for each event its index into them (−1: nobody owned it)."""
        places = (device << 32) | (recorded_us // QUARTER_US)
        unique, inverse = np.unique(places, return_inverse=True)
        keys: dict[CellKey, int] = {}
        target = np.empty(len(unique), dtype=np.int64)
        split: list[int] = []
        cells = self._cells
        for i, place in enumerate(unique.tolist()):
            cell = cells[place] if place in cells else self._resolve(place)
            if cell == ():
                split.append(i)
            target[i] = -1 if not cell else keys.setdefault(cell, len(keys))
        result = target[inverse]
        for i in np.flatnonzero(np.isin(inverse, split)).tolist() if split else ():
            owner = self._owner_and_day(int(device[i]), int(recorded_us[i]))
            result[i] = -1 if owner is None else keys.setdefault(owner, len(keys))
        return list(keys), result

    def _resolve(self, place: int) -> Any:
        """The report of all instants of one quarter of one prosthesis; () where they differ. Remembered."""
        if len(self._cells) >= MAX_CELLS:
            self._cells.clear()
        index, quarter = place >> 32, place & 0xFFFFFFFF
        cell: Any = NOBODY
        history = self._all[index].history
        if history is not None:
            if not history.is_whole(quarter):
                cell = ()
            else:
                owner = history.at(quarter * QUARTER_US)
                if owner is not None:
                    day = day_of_quarter(owner.timezone, quarter)
                    cell = () if day is None else (index, day.number, owner.user_id)
        self._cells[place] = cell
        return cell

    def _owner_and_day(self, index: int, instant_us: int) -> CellKey | None:
        history = self._all[index].history
        owner = history.at(instant_us) if history is not None else None
        return None if owner is None else (index, local_day(owner.timezone, instant_us).number, owner.user_id)

    def day_of(self, cell: CellKey) -> LocalDay | None:
        """The local day of a report, None where its user owns nothing of the prosthesis (any more)."""
        history = self._all[cell[0]].history
        timezone = next((i.timezone for i in history.document.intervals if i.user_id == cell[2]), None) if history else None
        return None if timezone is None else day_of_date(timezone, cell[1])
