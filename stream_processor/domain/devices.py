"""The prostheses a worker knows: record key → index, ownership history, and which (user, day) an instant belongs to.

A prosthesis mostly reports about one day of one owner, so each remembers the time range of the report it was last asked for. A batch's events are held against these
ranges at once; only those outside are resolved one by one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np

from schemas.keys import partition_of, prosthesis_key
from schemas.raw_telemetry import Ints
from stream_processor.domain.calendar import LocalDay, day_of_date, local_day
from stream_processor.domain.ownership import OwnershipHistory
from stream_processor.domain.report import ReportAttributes

ReportId = tuple[int, int, str]
"""(device, day number, user id): names one report."""

NOT_ASKED = -2  # of highest_raw
NOTHING = -1
NOT_AN_INTEGER = -1


@dataclass(slots=True)
class Device:
    """One prosthesis. ``history`` None: no ownership document is known. ``report`` is the report of the instants in ``from_us … to_us``;
    ``attributes`` what rows say beside their numbers."""

    index: int
    prosthesis_id: str
    partition: int
    history: OwnershipHistory | None = None
    report: ReportId | None = None
    from_us: int = 0
    to_us: int = 0
    attributes: dict[ReportId, ReportAttributes] = field(default_factory=dict)


class Misplaced(ValueError):  # noqa: N818 - named for what it is
    """A record whose key is not its prosthesis id, or which lies in another partition than its key's."""


class Devices:
    """Interns record keys, so that the hot path works on integers. Grows with the prostheses of the assigned partitions."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._by_key: dict[bytes | None, int] = {}
        self._all: list[Device] = []
        self.prosthesis_ids: Ints = np.zeros(0, object)
        """The id of each, as text."""
        self.ownership_loaded: Ints = np.zeros(0, bool)
        self._number: Ints = np.zeros(0, np.int64)
        self._place: Ints = np.zeros(0, np.int64)
        self._from_us: Ints = np.zeros(0, np.int64)
        self._to_us: Ints = np.zeros(0, np.int64)
        self.highest_raw: Ints = np.zeros(0, np.int64)
        """The highest event id that raw has of each; NOT_ASKED, NOTHING."""

    def __getitem__(self, index: int) -> Device:
        return self._all[index]

    def __len__(self) -> int:
        return len(self._all)

    def known(self, prosthesis_id: str) -> int | None:
        """The index of a prosthesis that was added before; None for others."""
        return self._by_key.get(prosthesis_id.encode())

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
        return self._add(key, partition) if index is None else index

    def _add(self, key: bytes, partition: int) -> int:
        index = self._by_key[key] = len(self._all)
        self._all.append(Device(index, key.decode(), partition))
        if index >= len(self._number):
            self._grow()
        self.prosthesis_ids[index] = key.decode()
        self._number[index] = int(key) if key.isdigit() else NOT_AN_INTEGER
        self._place[index] = partition
        return index

    def _grow(self) -> None:
        more = max(1024, len(self._number))
        for name, value in (("_number", NOT_AN_INTEGER), ("_place", 0), ("_from_us", 0), ("_to_us", 0), ("highest_raw", NOT_ASKED)):
            setattr(self, name, np.concatenate([getattr(self, name), np.full(more, value, np.int64)]))
        self.prosthesis_ids = np.concatenate([self.prosthesis_ids, np.full(more, "", object)])
        self.ownership_loaded = np.concatenate([self.ownership_loaded, np.zeros(more, bool)])

    def indices(self, keys: list[bytes | None], ids: list[Any], partitions: Ints) -> tuple[Ints, list[tuple[int, str]]]:
        """The index of each record's prosthesis (−1 where misplaced), and (position, reason) of the misplaced."""
        result = self._known(keys)
        if len(result) and result.min() < 0:
            self._add_new(keys, ids, partitions)
            result = self._known(keys)
        misplaced: list[tuple[int, str]] = []
        for i in np.flatnonzero((result < 0) | ~self._agree(result, ids, partitions)).tolist():
            try:
                result[i] = self.index_of(keys[i] or b"", int(partitions[i]), ids[i])
            except Misplaced as error:
                result[i] = -1
                misplaced.append((i, str(error)))
        return result, misplaced

    def _known(self, keys: list[bytes | None]) -> Ints:
        found: Ints = np.fromiter(map(self._by_key.get, keys, repeat(-1)), np.int64, len(keys))
        return found

    def _add_new(self, keys: list[bytes | None], ids: list[Any], partitions: Ints) -> None:
        """Add the unknown prostheses, each by its first record: the check of a placement costs more than all else of an event."""
        first: dict[bytes | None, int] = {}
        for i, key in enumerate(keys):
            first.setdefault(key, i)
        for key, i in first.items():
            if key not in self._by_key:
                with suppress(Misplaced):
                    self.index_of(key or b"", int(partitions[i]), ids[i])

    def _agree(self, indices: Ints, ids: list[Any], partitions: Ints) -> Ints:
        """Which records of known prostheses carry the id and lie in the partition that their key says."""
        if not self._all:
            return np.zeros(len(ids), dtype=bool)
        if ids and isinstance(ids[0], int):
            same = self._number[indices] == np.array(ids, dtype=np.int64)
        else:
            same = np.array([self._all[i].prosthesis_id == str(value) for i, value in zip(indices.tolist(), ids, strict=True)], dtype=bool)
        agreement: Ints = same & (self._place[indices] == partitions)
        return agreement

    def set_history(self, index: int, history: OwnershipHistory | None) -> None:
        """Replace a prosthesis's ownership; what was derived from the old one is forgotten."""
        device = self._all[index]
        self.ownership_loaded[index] = True
        device.history = history
        device.attributes.clear()
        self._remember(device, None, 0, 0)

    def reports_of(self, device: Ints, recorded_us: Ints) -> tuple[list[ReportId], Ints]:
        """The reports that events belong to, and for each event its index into them (−1: nobody owned it)."""
        keys: dict[ReportId, int] = {}
        result = np.full(len(device), -1, np.int64)
        inside = (recorded_us >= self._from_us[device]) & (recorded_us < self._to_us[device])
        at = np.flatnonzero(inside)
        if len(at):
            unique, inverse = np.unique(device[at], return_inverse=True)
            owned = (self._all[i].report for i in unique.tolist())
            result[at] = np.array([-1 if report is None else keys.setdefault(report, len(keys)) for report in owned], dtype=np.int64)[
                inverse
            ]
        outside = np.flatnonzero(~inside)
        for i, index, instant in zip(outside.tolist(), device[outside].tolist(), recorded_us[outside].tolist(), strict=True):
            report = self._report(self._all[index], instant)
            if report is not None:
                result[i] = keys.setdefault(report, len(keys))
        return list(keys), result

    def _report(self, device: Device, instant_us: int) -> ReportId | None:
        """The report of one instant; its time range is remembered."""
        if device.from_us <= instant_us < device.to_us:
            return device.report
        if device.history is None:
            return None
        owner, begin, end = device.history.around(instant_us)
        if owner is None:
            self._remember(device, None, begin, end)
        else:
            day = local_day(owner.timezone, instant_us)
            self._remember(device, (device.index, day.number, owner.user_id), max(begin, day.starts_us), min(end, day.ends_us))
        return device.report

    def _remember(self, device: Device, report: ReportId | None, from_us: int, to_us: int) -> None:
        device.report, device.from_us, device.to_us = report, from_us, to_us
        self._from_us[device.index], self._to_us[device.index] = from_us, to_us

    def day_of(self, report: ReportId) -> LocalDay | None:
        """The local day of a report, None where its user owns nothing of the prosthesis (any more)."""
        history = self._all[report[0]].history
        timezone = next((i.timezone for i in history.document.intervals if i.user_id == report[2]), None) if history else None
        return None if timezone is None else day_of_date(timezone, report[1])
