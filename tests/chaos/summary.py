"""Counts over the results of many schedules. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from service_kit.percentiles import percentile
from tests.chaos.armory import POINTS


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Schedules, faults by kind, losses, hits by kill point, recovery times in seconds, failures with their seeds."""
    faults = Counter(fault["kind"] for result in results for fault in result["schedule"]["faults"])
    hits = Counter(point for result in results for point, _ in result["hits"])
    losses = Counter(result["loss"] for result in results if result.get("loss"))
    return {
        "schedules": len(results),
        "passed": sum(result["ok"] for result in results),
        "failed": {result["seed"]: result["problems"] for result in results if not result["ok"]},
        "operations": sum(result["operations"] for result in results),
        "events": sum(result["events"] for result in results),
        "erasures": sum(result.get("erasures", 0) for result in results),
        "rows_compared": sum((result["verification"] or {}).get("rows_compared", 0) for result in results),
        "faults": dict(faults.most_common()),
        "hits": {point: hits.get(point, 0) for point in POINTS},
        "losses": dict(losses.most_common()),
        "recovery_s": _percentiles(results, "recovery_s"),
        "healed_s": _percentiles(results, "healed_s"),
        "seconds": round(sum(result["seconds"] for result in results), 1),
    }


def _percentiles(results: Sequence[dict[str, Any]], of: str) -> dict[str, float | None]:
    times = sorted(result[of] for result in results if result.get(of) is not None)
    return {name: percentile(times, percent) if times else None for name, percent in (("p50", 50), ("p90", 90), ("p99", 99), ("max", 100))}


def lines(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    told = [
        f"{found['passed']} of {found['schedules']} schedules passed in {found['seconds'] / 60:.1f} min;"
        f" {found['operations']} operations, {found['events']} events, {found['erasures']} erasures, {found['rows_compared']} reports compared",
        "faults     " + ", ".join(f"{kind} {count}" for kind, count in found["faults"].items()),
        "losses     " + ", ".join(f"{name} {count}" for name, count in found["losses"].items()),
        "recovery   " + ", ".join(f"{name} {value} s" for name, value in found["recovery_s"].items()),
        "healed     " + ", ".join(f"{name} {value} s" for name, value in found["healed_s"].items()),
        "hits       " + ", ".join(f"{point} {count}" for point, count in found["hits"].items()),
    ]
    return told + [f"FAILED     seed {seed}: {problem[:300]}" for seed, problems in found["failed"].items() for problem in problems]
