"""What ``bionicpro verify`` found, as data, as JSON and as lines for people."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from reconciliation.compare import Comparison, Difference
from reconciliation.day_range import DayRange
from reconciliation.fields import Key, Value
from reconciliation.raw import NO_DIFFERENCE, RawDifference

EXAMPLES = 5


@dataclass(frozen=True)
class Beyond:
    """Reports of days before *since* cannot be verified: PostgreSQL or raw no longer holds all of their telemetry. *rows*: how many there are."""

    since: date
    rows: int


@dataclass(frozen=True)
class Verification:
    """*found*: what is different for sure; *unverified*: rows that changed whenever they were looked at, with what differed last.

    *raw*: telemetry in ClickHouse that is not PostgreSQL's; *states*: reports whose stored state would give another report than the mart has.
    *waiting_for_owner*: valid telemetry rows, of all prostheses, that count in no report because nobody owned the prosthesis then: no error.
    """

    generation: str
    days: DayRange | None
    rounds: int
    found: Comparison
    unverified: Comparison
    waiting_for_owner: int
    seconds: float
    allow_unverified: bool = False
    beyond: Beyond | None = None
    raw: RawDifference = NO_DIFFERENCE
    states: frozenset[Key] = frozenset()
    strange: frozenset[str] = frozenset()
    """Prostheses whose ownership document in force is not what the CRM says; looked for only where that was asked, and no part of the verdict."""

    @property
    def unverified_keys(self) -> frozenset[Key]:
        return self.unverified.unequal_keys

    @property
    def ok(self) -> bool:
        """Something was compared and all of it is equal, and so is what reports are made from."""
        if self.raw or self.states:
            return False
        settled = not self.unverified_keys or self.allow_unverified
        return self.found.rows > len(self.unverified_keys) and self.found.fields > 0 and not self.found.unequal_keys and settled

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; the shape is part of the command's interface."""
        return {
            "ok": self.ok,
            "generation": self.generation,
            "from": str(self.days.first) if self.days else None,
            "to": str(self.days.last) if self.days else None,
            "rounds": self.rounds,
            "rows_compared": self.found.rows,
            "fields_compared": self.found.fields,
            "differences": by_field(self.found),
            "missing": some_of(self.found.missing),
            "surplus": some_of(self.found.surplus),
            "unverified": some_of(self.unverified_keys),
            "unverified_differences": by_field(self.unverified),
            "raw": self.raw.counts(),
            "states": some_of(self.states),
            "beyond_retention": {"before": str(self.beyond.since), "rows": self.beyond.rows} if self.beyond else None,
            "waiting_for_owner": self.waiting_for_owner,
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> Iterable[str]:
        """The same for people, the verdict last."""
        if self.days:
            yield f"days {self.days.first} … {self.days.last}, generation {self.generation}, {self.rounds} rounds, {self.seconds:.1f} s"
        yield f"{self.found.rows} rows and {self.found.fields} fields compared; {self.waiting_for_owner} telemetry rows wait for an owner"
        if self.beyond and self.beyond.rows:
            yield f"{self.beyond.rows} reports of days before {self.beyond.since} are closed and were not compared: their telemetry is not kept"
        yield from _difference_lines("different", self.found)
        yield from _difference_lines("not verified, changed at each look:", self.unverified)
        if self.raw:
            yield f"raw telemetry: {', '.join(f'{count} {name}' for name, count in self.raw.counts().items())}"
        if self.states:
            yield f"states that do not say what their reports say: {len(self.states)}, e.g. {min(self.states)}"
        yield "equal" if self.ok else "NOT EQUAL" if self.found.rows else "NOTHING WAS COMPARED"


def by_field(comparison: Comparison) -> dict[str, Any]:
    """Field → how many rows differ in it, and a few of them with both values."""
    return {
        name: {
            "rows": count,
            "examples": [_example(found) for found in comparison.differences if found.field == name][:EXAMPLES],
            "more": max(0, count - EXAMPLES),
        }
        for name, count in comparison.by_field().items()
    }


def _example(difference: Difference) -> dict[str, Any]:
    return _key(difference.key) | {"expected": _plain(difference.expected), "actual": _plain(difference.actual)}


def _plain(value: Value) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def some_of(keys: Collection[Key]) -> dict[str, Any]:
    """How many reports there are, the first few of them, and how many more."""
    return {"rows": len(keys), "examples": [_key(key) for key in sorted(keys)[:EXAMPLES]], "more": max(0, len(keys) - EXAMPLES)}


def _key(key: Key) -> dict[str, Any]:
    return {"user_id": key.user_id, "report_date": str(key.report_date), "prosthesis_id": key.prosthesis_id}


def _difference_lines(title: str, comparison: Comparison) -> Iterable[str]:
    for name, count in comparison.by_field().items():
        first = next(found for found in comparison.differences if found.field == name)
        yield f"{title} {name}: {count} rows, e.g. {first.key}: oracle {_plain(first.expected)}, mart {_plain(first.actual)}{_more(count, 1)}"
    for kind, keys in (("missing in the mart", comparison.missing), ("surplus in the mart", comparison.surplus)):
        if keys:
            yield f"{title} {kind}: {len(keys)} rows, e.g. {keys[0]}{_more(len(keys), 1)}"


def _more(count: int, shown: int) -> str:
    return f" (and {count - shown} more)" if count > shown else ""
