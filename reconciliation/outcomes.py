"""What a scheduled reconciliation found, as rows of ``reconciliation_runs`` and ``reconciliation_differences``, and a run's summary for people.

Written by the account ``recorder``, which may do nothing else. The rows name prostheses and days, no person; they expire (``clickhouse/schema``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from reconciliation.compare import Difference
from reconciliation.day_range import DayRange
from reconciliation.fields import Key, Value
from reconciliation.raw import Content, EventKey
from reconciliation.repair import Plan
from service_kit.clickhouse import connected
from service_kit.settings import ClickHouseSettings

FOUND, LEFT = "found", "left"
MOST_DIFFERENCES = 1_000
"""Single differences that are kept of a window and phase, for each kind."""
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Outcome:
    """One row of ``reconciliation_runs``; counts are of reports, of raw events and, *ownership*, of prostheses."""

    run_id: str
    from_day: date
    to_day: date
    phase: str
    generation: str
    recorded_at: datetime
    seconds: float
    equal: bool
    rows_compared: int
    fields_compared: int
    different: int
    missing: int
    surplus: int
    unverified: int
    raw_missing: int
    raw_different: int
    raw_surplus: int
    states: int
    ownership: int
    waiting_for_owner: int
    problems: tuple[str, ...] = ()

    def line(self) -> str:
        """For people: the days, the verdict, and what is not zero of the rest."""
        counts = {name: getattr(self, name) for name in _COUNTS if getattr(self, name)}
        told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
        verdict = "equal" if self.equal else "nothing to compare" if self.is_empty else "NOT EQUAL"
        return "; ".join(
            filter(None, (f"{self.from_day} … {self.to_day} {self.phase}: {verdict}, {self.rows_compared} reports", told, *self.problems))
        )

    @property
    def is_empty(self) -> bool:
        """Whether neither side had anything."""
        return not self.rows_compared and not self.unequal

    @property
    def unequal(self) -> int:
        """How many reports, events and prostheses are not as they should be."""
        return sum(getattr(self, name) for name in _COUNTS)

    @property
    def sound(self) -> bool:
        """Whether nothing is left to do: all is equal, or there is nothing. A mart that lacks everything is neither."""
        return (self.equal or self.is_empty) and not self.problems


_COUNTS = ("different", "missing", "surplus", "unverified", "raw_missing", "raw_different", "raw_surplus", "states", "ownership")
_COLUMNS = tuple(field.name for field in fields(Outcome))
_DIFFERENCE_COLUMNS = ("run_id", "from_day", "to_day", "phase", "kind", "prosthesis_id", "report_date", "field", "expected", "actual", "recorded_at")  # fmt: skip

Single = tuple[str, str, date, str, str, str]
"""kind, prosthesis, day, field, expected, actual."""


def outcome(run_id: str, days: DayRange, phase: str, plan: Plan, *, now: datetime, problems: Sequence[str] = ()) -> Outcome:
    """What *plan*, of the window *days*, says. Pure."""
    verified = plan.verification
    found = verified.found
    return Outcome(
        run_id=run_id,
        from_day=days.first,
        to_day=days.last,
        phase=phase,
        generation=verified.generation,
        recorded_at=now,
        seconds=verified.seconds,
        equal=verified.ok and plan.nothing_to_do,
        rows_compared=found.rows,
        fields_compared=found.fields,
        different=len({difference.key for difference in found.differences}),
        missing=len(found.missing),
        surplus=len(found.surplus),
        unverified=len(verified.unverified_keys),
        raw_missing=plan.raw.missing_events,
        raw_different=len(plan.raw.different),
        raw_surplus=len(plan.raw.surplus),
        states=len(verified.states),
        ownership=len(plan.owners | plan.others),
        waiting_for_owner=verified.waiting_for_owner,
        problems=tuple(problems),
    )


def differences(days: DayRange, plan: Plan) -> Iterator[Single]:
    """The single differences of *plan*, at most MOST_DIFFERENCES of a kind. Pure."""
    found = plan.verification.found
    yield from islice(map(_of_field, found.differences), MOST_DIFFERENCES)
    yield from _of_reports("missing", found.missing)
    yield from _of_reports("surplus", found.surplus)
    yield from _of_reports("unverified", sorted(plan.verification.unverified_keys))
    yield from _of_events("raw missing", plan.raw.missing)
    for (prosthesis, day), gap in islice(plan.raw.gaps.items(), MOST_DIFFERENCES):
        yield "gap", prosthesis, _EPOCH + timedelta(days=day), "", str(gap.source), str(gap.raw)
    yield from _of_events("raw different", plan.raw.different)
    yield from _of_events("raw surplus", plan.raw.surplus)
    yield from _of_reports("state", sorted(plan.verification.states))
    for prosthesis in islice(sorted(plan.owners | plan.others), MOST_DIFFERENCES):
        yield "ownership", prosthesis, days.first, "", "", ""


def _of_field(found: Difference) -> Single:
    return "field", found.key.prosthesis_id, found.key.report_date, found.field, _number(found.expected), _number(found.actual)


def _number(value: Value) -> str:
    """Texts may be a person's name: they are not kept here."""
    return str(value) if isinstance(value, int) else ""


def _of_reports(kind: str, keys: Iterable[Key]) -> Iterator[Single]:
    for key in islice(keys, MOST_DIFFERENCES):
        yield kind, key.prosthesis_id, key.report_date, "", "", ""


def _of_events(kind: str, events: Mapping[EventKey, Content]) -> Iterator[Single]:
    for event, content in islice(events.items(), MOST_DIFFERENCES):
        day = _EPOCH + timedelta(microseconds=int(content[0]))
        yield kind, event.prosthesis_id, day, str(event.high << 64 | event.low), "", ""


@dataclass(frozen=True)
class Outcomes:
    """The two tables, as the account that writes them."""

    settings: ClickHouseSettings

    def record(self, run_id: str, days: DayRange, phase: str, plan: Plan, problems: Sequence[str] = ()) -> Outcome:
        """Keep what *plan* says of *days*. Recording a window and phase again replaces its row. Raises clickhouse_driver's errors."""
        now = datetime.now(UTC)
        whole = outcome(run_id, days, phase, plan, now=now, problems=problems)
        head = (run_id, days.first, days.last, phase)
        singles = [(*head, *single, now) for single in differences(days, plan)]
        with connected(self.settings, self.settings.database) as client:
            if singles:
                client.execute(f"INSERT INTO reconciliation_differences ({', '.join(_DIFFERENCE_COLUMNS)}) VALUES", singles)
            client.execute(f"INSERT INTO reconciliation_runs ({', '.join(_COLUMNS)}) VALUES", [tuple(asdict(whole).values())])
        return whole

    def of_run(self, run_id: str) -> list[Outcome]:
        """What was recorded of a run, in the order of its days. Raises clickhouse_driver's errors."""
        query = f"SELECT {', '.join(_COLUMNS)} FROM reconciliation_runs FINAL WHERE run_id = %(run)s ORDER BY from_day, phase"  # noqa: S608 - our own columns
        with connected(self.settings, self.settings.database) as client:
            rows: list[dict[str, Any]] = [dict(zip(_COLUMNS, row, strict=True)) for row in client.execute(query, {"run": run_id})]
        return [Outcome(**row | {"problems": tuple(row["problems"])}) for row in rows]


def unsound(windows: Iterable[DayRange], recorded: Iterable[Outcome]) -> list[str]:
    """What a person has to know of a run that was to look at *windows*: one line for each that is not sound in the end, or was not looked at. Pure."""
    last: dict[DayRange, Outcome] = {}
    for found in recorded:  # 'found' before 'left'
        last[DayRange(found.from_day, found.to_day)] = found
    lines = []
    for days in windows:
        at_last = last.get(days)
        if at_last is None:
            lines.append(f"{days.first} … {days.last}: was not compared; the log of its task says why")
        elif not at_last.sound:
            lines.append(at_last.line())
    return lines
