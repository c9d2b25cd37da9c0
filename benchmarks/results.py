"""What a benchmark found: one JSON object a line, then a table."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class WrongResultsError(Exception):
    """A subject computed other numbers than the plain recomputation; its speed is not reported."""


@dataclass(frozen=True)
class Result:
    """One subject of one benchmark. ``cpu_s`` and ``wall_s`` are without start-up; ``store_cpu_s`` is what ClickHouse spent meanwhile.

    ``percentiles_ms`` by name (``p50``, …); ``figures`` are what only this benchmark has, with their unit in the name. None: not measured.
    """

    bench: str
    subject: str
    events: int
    wall_s: float
    cpu_s: float | None = None
    startup_cpu_s: float | None = None
    store_cpu_s: float | None = None
    peak_rss_mib: float | None = None
    percentiles_ms: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def events_per_cpu_s(self) -> float | None:
        return self.events / self.cpu_s if self.cpu_s else None

    @property
    def events_per_cpu_s_with_store(self) -> float | None:
        """The CPU of ClickHouse counted too: the fair measure where work moves between the two."""
        both = (self.cpu_s or 0.0) + (self.store_cpu_s or 0.0)
        return self.events / both if self.store_cpu_s is not None and both else None

    def line(self) -> str:
        """The JSON object, without what was not measured."""
        document: dict[str, Any] = {
            "bench": self.bench,
            "subject": self.subject,
            "events": self.events,
            "cpu_s": self.cpu_s,
            "wall_s": self.wall_s,
            "events_per_cpu_s": self.events_per_cpu_s,
            "startup_cpu_s": self.startup_cpu_s,
            "store_cpu_s": self.store_cpu_s,
            "events_per_cpu_s_with_store": self.events_per_cpu_s_with_store,
            "peak_rss_mib": self.peak_rss_mib,
            "percentiles_ms": dict(self.percentiles_ms) or None,
            **self.figures,
            "versions": dict(self.versions),
        }
        return json.dumps({name: _rounded(value) for name, value in document.items() if value is not None})


@dataclass(frozen=True)
class Failure:
    """A subject that has no result, and why."""

    bench: str
    subject: str
    reason: str

    def line(self) -> str:
        return json.dumps({"bench": self.bench, "subject": self.subject, "failed": self.reason})


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3 if abs(value) < 1000 else 0)
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return value


def table(results: Sequence[Result]) -> str:
    """The results of one benchmark, a subject a line; a column that nobody filled is left out."""
    documents = [json.loads(result.line()) for result in results]
    rows = [{**document, **{f"{name}_ms": value for name, value in document.get("percentiles_ms", {}).items()}} for document in documents]
    names = list(dict.fromkeys(name for row in rows for name in row if name not in {"bench", "versions", "percentiles_ms"}))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    aligned = [
        [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))]
        for line in cells
    ]
    return "\n".join([f"{results[0].bench}", *("  ".join(line).rstrip() for line in aligned)])


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 1000:
        return f"{value:,.0f}"
    return str(value)


def versions_of(*packages: str) -> dict[str, str]:
    """The interpreter's and the installed *packages*' versions, and how busy the machine was."""
    return {
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
        "machine": f"{os.cpu_count()} × {_processor_name()}",
        "load_1m": f"{os.getloadavg()[0]:.1f}",
    }


def _processor_name() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()
