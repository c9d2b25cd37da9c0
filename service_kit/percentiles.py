"""Durations to percentiles. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The least of *values* that at least *percent* of them do not exceed (nearest rank). Raises ValueError without values."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def told(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max in milliseconds, one decimal; empty without values."""
    if not seconds:
        return {}
    shares = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
    return {name: round(1000 * percentile(seconds, share), 1) for name, share in shares.items()}
