"""A reconciliation in steps, as a scheduler runs them: windows of days, each compared and mended, looked at again, and a verdict. The same code as ``bionicpro verify|repair``.

Each step opens connections of its own and leaves none; its results are small and JSON-ready. Repeating a step is safe.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypedDict

import psycopg

from reconciliation import repair as repairs
from reconciliation.day_range import DayRange
from reconciliation.mart import serving_mart
from reconciliation.oracle import Oracle
from reconciliation.outcomes import FOUND, LEFT, Outcome, Outcomes, unsound
from reconciliation.settings import ReconciliationSettings
from reconciliation.verify import StateCheck
from reconciliation.windows import days_with_data, windows
from schemas.keys import LOG_TOPIC
from schemas.mapping import SourceMapping
from service_kit.clickhouse_errors import Trouble, trouble_of
from service_kit.error_text import first_line
from service_kit.settings import ClickHouseSettings

log = logging.getLogger(__name__)

MOST_WINDOWS = 1_000


class Window(TypedDict):
    """Days of reports, both included, as ISO dates."""

    first: str
    last: str


class Mended(Window):
    """A window after its first look. *mended*: whether anything was asked for; *ordered*: offsets of the log by partition that the processor has to reach."""

    mended: bool
    ordered: dict[str, int]
    unfinished: list[str]


class UnequalError(RuntimeError):
    """A reconciliation did not end with everything equal; the message is the summary that a person reads."""


@dataclass(frozen=True)
class Reconciliation:
    """One run. *run_id* names it in the outcome tables."""

    settings: ReconciliationSettings
    outcomes: Outcomes
    run_id: str
    progress: Callable[[str], None] = print
    states: StateCheck | None = None

    def windows(self, first: date | None, last: date | None) -> list[Window]:
        """The days that either side has anything in, within *first* … *last*, cut by events and days. Raises UnequalError where they are too many."""
        limits = self.settings.reconciliation
        asked = DayRange(first, last) if first and last else None
        with (
            serving_mart(self.settings.clickhouse) as mart,
            psycopg.connect(**self.settings.telemetry_db.conninfo(), autocommit=True) as telemetry,  # type: ignore[arg-type]  # keyword arguments of mixed types
        ):
            oracle = Oracle(SourceMapping.read(limits.mapping), mart.erased())
            events = oracle.event_days(telemetry, asked)
            days = days_with_data(events, mart.days(), first, last)
        found = [
            Window(first=str(window.first), last=str(window.last))
            for window in windows(days, events, limits.window_events, limits.window_days)
        ]
        if len(found) > MOST_WINDOWS:
            raise UnequalError(f"{days[0]} … {days[-1]} are {len(found)} windows, more than {MOST_WINDOWS}: ask for fewer days at once")
        return found

    def _plan(self, days: DayRange) -> repairs.Plan:
        return repairs.plan(self.settings, days.first, days.last, self.progress, states=self.states)

    def compare_and_mend(self, window: Window, *, mend: bool) -> Mended:
        """Compare the window, keep what was found, and ask for what is to be mended. Raises what ``repair.plan`` and ``repair.mend`` raise."""
        days = _days(window)
        plan = self._plan(days)
        self.progress(self.outcomes.record(self.run_id, days, FOUND, plan).line())
        if plan.nothing_to_do or not mend:
            return Mended(**window, mended=False, ordered={}, unfinished=[])
        mended = repairs.mend(self.settings, plan, self.progress)
        ordered = {str(partition): offset for partition, offset in mended.ordered.items()}
        return Mended(**window, mended=True, ordered=ordered, unfinished=list(mended.unfinished))

    def compare_again(self, mended: Mended) -> None:
        """Look again at a window in which something was mended, and keep what is left."""
        if not mended["mended"]:
            self.progress("nothing was mended here")
            return
        days = _days(mended)
        plan = self._plan(days)
        problems = [] if plan.nothing_to_do else mended["unfinished"]
        self.progress(self.outcomes.record(self.run_id, days, LEFT, plan, problems).line())

    def conclude(self, looked_at: Sequence[Window]) -> dict[str, Any]:
        """The run's whole outcome. Raises UnequalError with the summary where anything is unequal, or nothing was compared."""
        recorded = self.outcomes.of_run(self.run_id)
        lines = unsound([_days(window) for window in looked_at], recorded)
        whole = totals(recorded)
        if not whole["rows_compared"]:
            lines.append("nothing was compared")
        summary = "\n".join([f"run {self.run_id}: {told(whole)}", *(f"  {line}" for line in lines)])
        self.progress(summary)
        if lines:
            raise UnequalError(f"{summary}\n{WHAT_TO_DO}")
        return whole


WHAT_TO_DO = "The single differences are in bionicpro.reconciliation_differences; `bionicpro repair` for these days says more (docs/reconciliation.md)."


def reached(settings: ClickHouseSettings, ordered: Mapping[str, int]) -> bool:
    """Whether the processor has handled the log up to *ordered*, offsets by partition; not known while ClickHouse is away. Raises what ClickHouse refuses."""
    try:
        with serving_mart(settings) as mart:
            handled = mart.handled(LOG_TOPIC)
    except Exception as error:
        if trouble_of(error) is not Trouble.OUTAGE:
            raise
        log.warning("ClickHouse does not answer: %s", first_line(error))
        return False
    return all(handled.get(int(partition), -1) >= offset for partition, offset in ordered.items())


def totals(recorded: Sequence[Outcome]) -> dict[str, int]:
    """What was compared, what was unequal at first, and what is at last. Pure."""
    found = [outcome for outcome in recorded if outcome.phase == FOUND]
    again = {(outcome.from_day, outcome.to_day): outcome for outcome in recorded if outcome.phase == LEFT}
    last = [again.get((outcome.from_day, outcome.to_day), outcome) for outcome in found]
    return {
        "rows_compared": sum(outcome.rows_compared for outcome in last),
        "fields_compared": sum(outcome.fields_compared for outcome in last),
        "unequal_at_first": sum(outcome.unequal for outcome in found),
        "unequal_at_last": sum(outcome.unequal for outcome in last),
    }


def told(whole: Mapping[str, int]) -> str:
    """For people."""
    return (
        f"{whole['rows_compared']} reports and {whole['fields_compared']} fields compared;"
        f" {whole['unequal_at_first']} things differed at first, {whole['unequal_at_last']} differ at last"
    )


def _days(window: Window) -> DayRange:
    return DayRange(date.fromisoformat(window["first"]), date.fromisoformat(window["last"]))
