"""The plain recomputation that every subject's mart is held against: one event at a time, in Python, from the generated columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from benchmarks.results import WrongResultsError
from benchmarks.telemetry import Events, owner_of

# What every subject computes, by the definitions of docs/metrics.md.
METRICS = ("event_count", "usage_ms", "signal_count", "recognised_count", "amplitude_uv_sum", "amplitude_uv_min", "amplitude_uv_max",
           "battery_min_bp", "battery_max_bp", "error_count")  # fmt: skip
SHOWN = 3
DAY_US = 86_400_000_000

Key = tuple[str, date, str]
Mart = dict[Key, tuple[int, ...]]


def recomputed(events: Events, indexes: Iterable[int] | None = None) -> Mart:
    """METRICS by (user, local day, prosthesis) over the events at *indexes*; None: over all."""
    chosen = range(len(events)) if indexes is None else indexes
    columns = [column.tolist() for column in (events.prosthesis, events.at_us, events.kind, events.amplitude_uv, events.recognised,
                                              events.active_ms, events.battery_percent)]  # fmt: skip
    folds: dict[tuple[int, int], list[int]] = {}
    offsets = {prosthesis: owner_of(prosthesis).offset_s * 1_000_000 for prosthesis in set(columns[0])}
    for index in chosen:
        prosthesis, at_us, kind, amplitude, recognised, active, battery = (column[index] for column in columns)
        key = prosthesis, (at_us + offsets[prosthesis]) // DAY_US
        fold = folds.setdefault(key, [0, 0, 0, 0, 0, 1 << 40, 0, 1 << 40, 0, 0])
        fold[0] += 1
        if kind == 0:
            _signal(fold, amplitude, recognised, active)
        elif kind == 1:
            fold[7] = min(fold[7], battery * 100)
            fold[8] = max(fold[8], battery * 100)
        elif kind == 2:
            fold[9] += 1
    return {_key(*key): tuple(0 if value == 1 << 40 else value for value in fold) for key, fold in folds.items()}


def _signal(fold: list[int], amplitude: int, recognised: bool, active: int) -> None:
    fold[1] += active
    fold[2] += 1
    fold[3] += recognised
    fold[4] += amplitude
    fold[5] = min(fold[5], amplitude)
    fold[6] = max(fold[6], amplitude)


def _key(prosthesis: int, day: int) -> Key:
    return owner_of(prosthesis).user_id, date(1970, 1, 1) + timedelta(days=day), str(prosthesis)


def mart_of(rows: Iterable[tuple[Any, ...]]) -> Mart:
    """The rows of ``SELECT user_id, report_date, prosthesis_id, <METRICS>``."""
    return {(str(row[0]), row[1], str(row[2])): tuple(int(value) for value in row[3:]) for row in rows}


def check(subject: str, found: Mapping[Key, tuple[int, ...]], wanted: Mart) -> None:
    """Raises WrongResultsError, naming the first differences, unless *found* is *wanted* in every row and metric."""
    wrong = [key for key in wanted.keys() | found.keys() if found.get(key) != wanted.get(key)]
    if wrong or not wanted:
        shown = "; ".join(f"{key}: {found.get(key)} instead of {wanted.get(key)}" for key in sorted(wrong)[:SHOWN])
        raise WrongResultsError(
            f"{subject}: {len(wrong)} of {len(wanted)} reports differ, so its speed is not reported ({METRICS}): {shown}"
        )
