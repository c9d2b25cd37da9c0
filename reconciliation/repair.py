"""``bionicpro repair``: makes raw telemetry equal to PostgreSQL by id, then has the reports recomputed and verifies them.

Planning changes nothing. Carrying out may be repeated: rows that are read again, deletes and recomputes leave the same state each time.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg

from reconciliation import verify as verifies
from reconciliation.commands import ask_for_rows, send
from reconciliation.day_range import DayRange
from reconciliation.mart import serving_mart
from reconciliation.moment import Moments
from reconciliation.oracle import Oracle
from reconciliation.raw import Content, EventKey, RawDifference, event_key, source_id
from reconciliation.raw_comparison import RawComparison
from reconciliation.settings import ReconciliationSettings
from reconciliation.verification import Verification
from schemas.commands import Command, Delete, Recompute
from schemas.mapping import SourceMapping

Progress = Callable[[str], None]

IDS_A_DELETE = 1_000
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_POLL_S = 0.2


class RepairError(RuntimeError):
    """A repair could not be finished; the message says what is still missing. Repeating it is safe."""


@dataclass(frozen=True)
class Plan:
    """What differs and what would be done about it."""

    verification: Verification
    raw: RawDifference

    @property
    def is_empty(self) -> bool:
        return not self.raw and not self.days_by_prosthesis()

    def days_by_prosthesis(self) -> dict[str, DayRange]:
        """What to recompute: the days of unequal reports, and those that events which will change may lie in, in any time zone."""
        found: dict[str, list[date]] = {}
        unequal = self.verification.found.unequal_keys | self.verification.unverified_keys
        for key in unequal:
            found.setdefault(key.prosthesis_id, []).append(key.report_date)
        for part in (self.raw.missing, self.raw.different, self.raw.surplus):
            for event, content in part.items():
                day = (_EPOCH + int(content[0]) * _MICROSECOND).date()
                found.setdefault(event.prosthesis_id, []).extend((day - _DAY, day + _DAY))
        return {prosthesis: DayRange(min(days), max(days)) for prosthesis, days in sorted(found.items())}

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = {"missing": len(self.raw.missing), "different": len(self.raw.different), "surplus": len(self.raw.surplus)}
        return {"raw": counts, "recompute": len(self.days_by_prosthesis()), "verification": self.verification.as_json()}

    def lines(self) -> Iterable[str]:
        """The same for people."""
        yield f"raw telemetry: {len(self.raw.missing)} missing, {len(self.raw.different)} different, {len(self.raw.surplus)} surplus"
        yield f"prostheses to recompute: {len(self.days_by_prosthesis())}"
        yield from self.verification.lines()


def plan(settings: ReconciliationSettings, first: date | None, last: date | None, progress: Progress = lambda _: None) -> Plan:
    """Verify the days *first* … *last* and compare raw telemetry of the same UTC days by id. Changes nothing."""
    verification = verifies.verify(settings, first, last, progress)
    oracle = Oracle(SourceMapping.read(settings.reconciliation.mapping))
    with serving_mart(settings.clickhouse) as mart, Moments(settings, oracle, mart) as moments, moments.now() as moment:
        return Plan(verification, RawComparison(settings, mart, moment, progress).run(first, last))


def carry_out(settings: ReconciliationSettings, wanted: Plan, progress: Progress = lambda _: None) -> Plan:
    """Do what *wanted* says and return the plan that is left: empty, and its verification equal, where all went well.

    Raises RepairError where rows do not arrive in time, CommandError, and what ``plan`` raises.
    """
    mapping = SourceMapping.read(settings.reconciliation.mapping)
    with serving_mart(settings.clickhouse) as mart:
        surplus = _still_absent(settings, Oracle(mapping, mart.erased()), wanted.raw.surplus)
    days = wanted.days_by_prosthesis()
    send(settings.kafka, deletes(surplus))
    again = {**wanted.raw.missing, **wanted.raw.different}
    if again:
        ids = [source_id(key, mapping.telemetry.event_id.type) for key in again]
        progress(f"{len(ids)} rows asked for again with {ask_for_rows(settings.telemetry_db, mapping, ids)} signals")
        _await_raw(settings, again)
    progress(f"{send(settings.kafka, recomputes(days))} prostheses to recompute")
    bounds = _bounds(days)
    return plan(settings, bounds.first if bounds else None, bounds.last if bounds else None, progress)


def deletes(surplus: Iterable[EventKey]) -> list[Command]:
    """Delete commands for *surplus*, at most IDS_A_DELETE ids each."""
    commands: list[Command] = []
    for prosthesis, keys in groupby(sorted(surplus), key=lambda key: key.prosthesis_id):
        halves = [(key.high, key.low) for key in keys]
        for at in range(0, len(halves), IDS_A_DELETE):
            ids = tuple(halves[at : at + IDS_A_DELETE])
            commands.append(Delete(command_id=str(uuid.uuid4()), prosthesis_id=prosthesis, event_ids=ids, reason="repair"))
    return commands


def recomputes(days: Mapping[str, DayRange]) -> list[Command]:
    """One recompute command a prosthesis."""
    return [
        Recompute(command_id=str(uuid.uuid4()), prosthesis_id=prosthesis, from_date=range_.first, to_date=range_.last, reason="repair")
        for prosthesis, range_ in days.items()
    ]


def _still_absent(settings: ReconciliationSettings, oracle: Oracle, surplus: Mapping[EventKey, Content]) -> list[EventKey]:
    """Those of *surplus* that PostgreSQL lacks now too, or has in an erased time: what came since the plan's snapshot must not be deleted."""
    ids = [source_id(key, oracle.mapping.telemetry.event_id.type) for key in surplus]
    with psycopg.connect(**settings.telemetry_db.conninfo()) as telemetry:  # type: ignore[arg-type]  # keyword arguments of mixed types
        there = {event_key(row[0], row[1]) for row in oracle.events_by_id(telemetry, ids)}
    return [key for key in surplus if key not in there]


def _await_raw(settings: ReconciliationSettings, wanted: Mapping[EventKey, Content]) -> None:
    deadline = time.monotonic() + settings.reconciliation.repair_timeout_s
    left = dict(wanted)
    with serving_mart(settings.clickhouse) as mart:
        while True:
            there = mart.raw_contents(list(left))
            left = {key: content for key, content in left.items() if there.get(key) != content}
            if not left:
                return
            if time.monotonic() > deadline:
                raise RepairError(
                    f"{len(left)} of {len(wanted)} rows that were asked for again did not arrive as PostgreSQL has them,"
                    f" e.g. {next(iter(left))}: is the connector running? (`bionicpro status`); then repair again"
                )
            time.sleep(_POLL_S)


def _bounds(days: Mapping[str, DayRange]) -> DayRange | None:
    if not days:
        return None
    return DayRange(min(range_.first for range_ in days.values()), max(range_.last for range_ in days.values()))
