"""The fold: a day's state as a commutative monoid, many states side by side in one table of columns.

A *slot* is a row of the table. Folding scatters the columns of a batch into it with NumPy's unbuffered ``ufunc.at``; every operation is a
sum, a count, a minimum or a maximum of integers, so order and batching cannot matter.

Battery samples and locations are kept as one integer each, ``time since the day's start`` in the high bits and the value in the low ones, so that
"the value of the least (time, value)" is a plain minimum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream_processor.domain.calendar import HOUR_US, MAX_SLOTS
from stream_processor.domain.columns import BATTERY, ERROR, LOCATION, SIGNAL, Ints, TelemetryColumns

FOLD_FORMAT = 2  # 1 had 26 hour slots
BUCKETS = 16
NEVER = np.iinfo(np.int64).max
CRITICAL = 3

BATTERY_BITS = 14  # 0 … 10,000
BATTERY_MASK = (1 << BATTERY_BITS) - 1
LON_BITS, LAT_BITS = 12, 11  # cells −1800 … 1800 and −900 … 900, shifted to be positive
PLACE_BITS = LON_BITS + LAT_BITS
LAT_SHIFT, LON_SHIFT = 900, 1800

# The stored layout of one state; FOLD_FORMAT names it. Little-endian, packed.
LAYOUT = np.dtype(
    [
        ("event_count", "<i8"),
        ("first_us", "<i8"),
        ("last_us", "<i8"),
        ("usage_ms", "<i8", (MAX_SLOTS,)),
        ("signal_count", "<i8"),
        ("recognised_count", "<i8"),
        ("amplitude_sum", "<i8"),
        ("amplitude_min", "<i8"),
        ("amplitude_max", "<i8"),
        ("amplitude_histogram", "<i8", (BUCKETS,)),
        ("battery_count", "<i8"),
        ("battery_min", "<i8"),
        ("battery_max", "<i8"),
        ("battery_first", "<i8", (MAX_SLOTS,)),
        ("battery_last", "<i8", (MAX_SLOTS,)),
        ("error_count", "<i8"),
        ("critical_count", "<i8"),
        ("place", "<i8"),
    ]
)
_MINIMA = frozenset({"first_us", "amplitude_min", "battery_min", "battery_first"})
_MAXIMA = frozenset({"last_us", "amplitude_max", "battery_max", "battery_last", "place"})


def _identity(name: str) -> int:
    """The neutral element of a field's operation."""
    if name in _MINIMA:
        return int(NEVER)
    return -1 if name in _MAXIMA else 0


class OutsideDay(RuntimeError):  # noqa: N818 - named for what it is
    """An event lies before its report's day, or after the last hour slot: what was decided of the day and what is folded do not agree."""


class FoldTable:
    """States in slots ``0 … capacity-1``. Grows as it is told; whoever owns it bounds the number of slots."""

    def __init__(self, capacity: int = 1024) -> None:
        self.capacity = 0
        self.columns: dict[str, Ints] = {}
        self.day_starts_us: Ints = np.zeros(0, np.int64)
        self.errors: dict[int, dict[str, int]] = {}
        self.grow(capacity)

    def grow(self, capacity: int) -> None:
        """Make room for *capacity* slots; the new ones hold the identity."""
        extra = capacity - self.capacity
        if extra <= 0:
            return
        for name in LAYOUT.names or ():
            shape = (extra, *LAYOUT[name].shape)
            fresh = np.full(shape, _identity(name), np.int64)
            self.columns[name] = np.concatenate([self.columns[name], fresh]) if self.capacity else fresh
        self.day_starts_us = np.concatenate([self.day_starts_us, np.zeros(extra, np.int64)])
        self.capacity = capacity

    def reset(self, slots: Ints) -> None:
        """Give *slots* the identity again."""
        for name, column in self.columns.items():
            column[slots] = _identity(name)
        for slot in slots.tolist():
            self.errors.pop(slot, None)

    def dump(self, slots: Ints) -> list[bytes]:
        """The stored form of each slot's numbers (errors by code are stored beside it)."""
        packed = np.empty(len(slots), LAYOUT)
        for name, column in self.columns.items():
            packed[name] = column[slots]
        data, size = packed.tobytes(), LAYOUT.itemsize
        return [data[i : i + size] for i in range(0, len(data), size)]

    def load(self, slots: Ints, states: Sequence[bytes], errors: Sequence[dict[str, int]]) -> None:
        """Fill *slots* from stored forms. Raises ValueError where one has not the layout's size."""
        packed = np.frombuffer(b"".join(states), LAYOUT, count=len(slots))
        for name, column in self.columns.items():
            column[slots] = packed[name]
        for slot, by_code in zip(slots.tolist(), errors, strict=True):
            if by_code:
                self.errors[slot] = dict(by_code)
            else:
                self.errors.pop(slot, None)

    def fold(self, slots: Ints, events: TelemetryColumns) -> None:
        """Fold each event into the slot at its position in *slots*. Raises OutsideDay, and changes nothing, where one lies outside its slot's day."""
        if not len(slots):
            return
        since = events.recorded_us - self.day_starts_us[slots]
        hours = since // HOUR_US
        # The table is indexed flat: an hour beyond its row would be another person's.
        if hours.min() < 0 or hours.max() >= MAX_SLOTS:
            raise OutsideDay(_outside(slots, hours))
        of = self.columns
        np.add.at(of["event_count"], slots, 1)
        np.minimum.at(of["first_us"], slots, events.recorded_us)
        np.maximum.at(of["last_us"], slots, events.recorded_us)
        cells = slots * MAX_SLOTS + hours
        self._fold_signals(slots, cells, events)
        self._fold_batteries(slots, cells, since, events)
        self._fold_errors(slots, events)
        self._fold_places(slots, since, events)

    def _fold_signals(self, slots: Ints, cells: Ints, events: TelemetryColumns) -> None:
        which = np.flatnonzero(events.facets & SIGNAL)
        if not len(which):
            return
        of, slots = self.columns, slots[which]
        amplitude = events.amplitude_uv[which].astype(np.int64)
        np.add.at(of["usage_ms"].reshape(-1), cells[which], events.active_ms[which].astype(np.int64))
        np.add.at(of["signal_count"], slots, 1)
        np.add.at(of["recognised_count"], slots, events.recognised[which].astype(np.int64))
        np.add.at(of["amplitude_sum"], slots, amplitude)
        np.minimum.at(of["amplitude_min"], slots, amplitude)
        np.maximum.at(of["amplitude_max"], slots, amplitude)
        np.add.at(of["amplitude_histogram"].reshape(-1), slots * BUCKETS + bucket_of(amplitude), 1)

    def _fold_batteries(self, slots: Ints, cells: Ints, since: Ints, events: TelemetryColumns) -> None:
        which = np.flatnonzero(events.facets & BATTERY)
        if not len(which):
            return
        of, slots, cells = self.columns, slots[which], cells[which]
        value = events.battery_bp[which].astype(np.int64)
        sample = (since[which] << BATTERY_BITS) | value
        np.add.at(of["battery_count"], slots, 1)
        np.minimum.at(of["battery_min"], slots, value)
        np.maximum.at(of["battery_max"], slots, value)
        np.minimum.at(of["battery_first"].reshape(-1), cells, sample)
        np.maximum.at(of["battery_last"].reshape(-1), cells, sample)

    def _fold_errors(self, slots: Ints, events: TelemetryColumns) -> None:
        which = np.flatnonzero(events.facets & ERROR)
        if not len(which):
            return
        of, slots = self.columns, slots[which]
        np.add.at(of["error_count"], slots, 1)
        np.add.at(of["critical_count"], slots, (events.error_severity[which] == CRITICAL).astype(np.int64))
        for slot, code in zip(slots.tolist(), events.error_code[which].tolist(), strict=True):
            by_code = self.errors.setdefault(slot, {})
            by_code[code] = by_code.get(code, 0) + 1

    def _fold_places(self, slots: Ints, since: Ints, events: TelemetryColumns) -> None:
        which = np.flatnonzero(events.facets & LOCATION)
        if not len(which):
            return
        lat = events.lat_cell[which].astype(np.int64) + LAT_SHIFT
        lon = events.lon_cell[which].astype(np.int64) + LON_SHIFT
        place = (since[which] << PLACE_BITS) | (lat << LON_BITS) | lon
        np.maximum.at(self.columns["place"], slots[which], place)


def _outside(slots: Ints, hours: Ints) -> str:
    at = int(np.flatnonzero((hours < 0) | (hours >= MAX_SLOTS))[0])
    return f"an event lies in hour {int(hours[at])} of the day of slot {int(slots[at])}; a day has hours 0 … {MAX_SLOTS - 1}"


def bucket_of(amplitude: Ints) -> Ints:
    """The histogram's bucket, 0 … 15: ``min(15, bit_length(a))`` of amplitudes that are not negative. frexp's exponent is the bit length of a positive integer below 2^53."""
    return np.minimum(np.frexp(amplitude.astype(np.float64))[1], BUCKETS - 1).astype(np.int64)


def battery_drain(first: Ints, last: Ints) -> Ints:
    """Drain in basis points of each row of slot samples (n × MAX_SLOTS, NEVER and −1 where a slot has none)."""
    drain = np.zeros(len(first), np.int64)
    before = np.full(len(first), -1, np.int64)
    for slot in range(MAX_SLOTS):
        sampled = last[:, slot] >= 0
        begin, end = first[:, slot] & BATTERY_MASK, last[:, slot] & BATTERY_MASK
        between = np.where(before >= 0, np.maximum(before - begin, 0), 0)
        drain += np.where(sampled, np.maximum(begin - end, 0) + between, 0)
        before = np.where(sampled, end, before)
    return drain


def first_and_last_battery(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """The battery at the first and after the last sample of each row (0 where there is none)."""
    least, greatest = first.min(axis=1), last.max(axis=1)
    return np.where(least == NEVER, 0, least & BATTERY_MASK), np.where(greatest < 0, 0, greatest & BATTERY_MASK)


def cells_of_places(places: Ints) -> tuple[list[int | None], list[int | None]]:
    """Latitude and longitude cells of stored places, None where there is none."""
    lat = ((places >> LON_BITS) & ((1 << LAT_BITS) - 1)) - LAT_SHIFT
    lon = (places & ((1 << LON_BITS) - 1)) - LON_SHIFT
    known = (places >= 0).tolist()
    pairs = (lat.tolist(), lon.tolist())
    first, second = ([cell if there else None for cell, there in zip(cells, known, strict=True)] for cells in pairs)
    return first, second
