"""``bionicpro repair``: makes raw telemetry equal to PostgreSQL by id, then has the reports recomputed and verifies them.

Planning changes nothing. Carrying out may be repeated: rows that are read again, deletes and recomputes leave the same state each time.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

from reconciliation import verify as verifies
from reconciliation.arrivals import Arrival, GapArrival, RepairError, await_ownership, in_source
from reconciliation.commands import ask_for_days, ask_for_rows, send_located
from reconciliation.day_range import DayRange
from reconciliation.digests import conditions
from reconciliation.directory import CrmRepair
from reconciliation.fields import Key
from reconciliation.mart import serving_mart
from reconciliation.oracle import Oracle
from reconciliation.raw import Content, EventKey, RawDifference, source_id
from reconciliation.settings import ReconciliationSettings
from reconciliation.verification import Verification
from reconciliation.verify import StateCheck
from schemas.commands import Command, Delete, Recompute
from schemas.mapping import SourceMapping

Progress = Callable[[str], None]

IDS_PER_DELETE = 1_000
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_POLL_S = 0.2
_TELL_S = 2.0
OTHERS_WAIT_S = 30.0


@dataclass(frozen=True)
class Plan:
    """What differs and what would be done about it. *owners*: prostheses with unequal reports whose ownership is not what the CRM says; *others*: those
    without, whose telemetry of another time would be somebody else's.

    *first*, *last*: the days that were asked about.
    """

    verification: Verification
    raw: RawDifference
    owners: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    generation: int | None = None
    first: date | None = None
    last: date | None = None

    @property
    def is_empty(self) -> bool:
        """Whether raw and reports are as they should be."""
        return not self.raw and not self.days_by_prosthesis()

    @property
    def nothing_to_do(self) -> bool:
        """Whether also no telemetry to come would be somebody else's."""
        return self.is_empty and not self.others

    def unequal_keys(self) -> frozenset[Key]:
        """Reports that are not, or not surely, what the oracle says."""
        return self.verification.found.unequal_keys | self.verification.unverified_keys | self.verification.states

    def days_by_prosthesis(self) -> dict[str, DayRange]:
        """What to recompute: the days of unequal reports, and those that events which will change may lie in, in any time zone."""
        found: dict[str, list[date]] = {}
        for key in self.unequal_keys():
            found.setdefault(key.prosthesis_id, []).append(key.report_date)
        for part in (self.raw.missing, self.raw.different, self.raw.surplus):
            for event, content in part.items():
                day = (_EPOCH + int(content[0]) * _MICROSECOND).date()
                found.setdefault(event.prosthesis_id, []).extend((day - _DAY, day + _DAY))
        for prosthesis, number in self.raw.gaps:
            gap = (_EPOCH + timedelta(days=number)).date()
            found.setdefault(prosthesis, []).extend((gap - _DAY, gap + _DAY))
        return {prosthesis: DayRange(min(days), max(days)) for prosthesis, days in sorted(found.items())}

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "raw": self.raw.counts(),
            "gaps": {"days": len(self.raw.gaps), "events": sum(gap.missing for gap in self.raw.gaps.values())},
            "ownership": len(self.owners | self.others),
            "recompute": len(self.days_by_prosthesis()),
            "verification": self.verification.as_json(),
        }

    def lines(self) -> Iterable[str]:
        """The same for people."""
        yield f"raw telemetry: {self.raw.missing_events} missing, {len(self.raw.different)} different, {len(self.raw.surplus)} surplus"
        if self.raw.gaps:
            yield f"{len(self.raw.gaps)} days of prostheses are missing for the most part, and are read again as a whole"
        if self.raw.cut_after:
            yield f"that is of the days up to {self.raw.cut_after}: those after it are looked at once these are mended"
        if self.owners or self.others:
            yield f"ownership: {len(self.owners | self.others)} prostheses belong to others than the CRM says"
        yield f"prostheses to recompute: {len(self.days_by_prosthesis())}"
        yield from self.verification.lines()


def plan(
    settings: ReconciliationSettings,
    first: date | None,
    last: date | None,
    progress: Progress = lambda _: None,
    *,
    generation: int | None = None,
    states: StateCheck | None = None,
) -> Plan:
    """Verify the days *first* … *last*, and look whether ownership is what the CRM says. Changes nothing.

    *generation*: the tables to look at; None: those that readers see. *states*: see ``verify``.
    """
    verification = verifies.verify(settings, first, last, progress, generation=generation, states=states, owners=True)
    unequal, strange = {key.prosthesis_id for key in verification.found.unequal_keys | verification.unverified_keys}, verification.strange
    return Plan(verification, verification.raw, strange & unequal, strange - unequal, generation, first, last)


def carry_out(
    settings: ReconciliationSettings, wanted: Plan, progress: Progress = lambda _: None, *, states: StateCheck | None = None
) -> Plan:
    """Do what *wanted* says, and what comes up behind it, and return the plan that is left: empty, and its verification equal, where all went well.

    What is mended stays mended, so that a repair which was interrupted goes on where it was when it is started again.
    Raises RepairError where rows or ownership do not arrive, once everything else was mended; CommandError, and what ``plan`` raises.
    """
    while True:
        if unfinished := mend(settings, wanted, progress).unfinished:
            raise RepairError("; ".join(unfinished) + ". Everything else was mended; repair again once these are")
        left = plan(settings, wanted.first, wanted.last, progress, generation=wanted.generation, states=states)
        if left.is_empty or not _goes_on(wanted.raw, left.raw):
            return left
        wanted = left


def _goes_on(before: RawDifference, now: RawDifference) -> bool:
    """Whether there are days that nobody has looked at yet: more of them than before, so that this ends."""
    return before.cut_after is not None and (now.cut_after is None or now.cut_after > before.cut_after)


@dataclass(frozen=True)
class Mended:
    """*ordered*: the offset of the last command by partition of the log, which the processor has yet to reach; *unfinished*: what did not arrive, in words."""

    ordered: Mapping[int, int]
    unfinished: Sequence[str]


def mend(settings: ReconciliationSettings, wanted: Plan, progress: Progress = lambda _: None) -> Mended:
    """Do what *wanted* says, once: ask for what is missing and wait for it, then order recomputes. Whoever wants to see them done waits for *ordered*.

    Raises RepairError where nothing arrives at all, CommandError, and what ``plan`` raises. May be repeated.
    """
    mapping = SourceMapping.read(settings.reconciliation.mapping)
    with serving_mart(settings.clickhouse, wanted.generation) as mart:
        oracle = Oracle(mapping, mart.erased())
    name = f"repair-{uuid.uuid4()}"
    unfinished: list[str] = []  # one damaged item holds up no other
    if wanted.owners or wanted.others:
        prostheses = sorted(wanted.owners | wanted.others)
        gone = CrmRepair(settings.kafka, settings.crm_db, mapping).run(prostheses)
        progress(f"ownership of {len(prostheses)} prostheses asked for again, {gone} rows of the CRM taken back")
        unfinished += await_ownership(settings, oracle, sorted(wanted.owners), wanted.generation)
        # No report waits for these: one that cannot be mended, as where a contract cannot be read, is told and holds up nothing.
        for line in await_ownership(settings, oracle, sorted(wanted.others), wanted.generation, OTHERS_WAIT_S):
            progress(line)
    surplus = _still_absent(settings, oracle, wanted.raw.surplus)
    send_located(settings.kafka, deletes(surplus, name))
    if surplus:
        progress(f"{len(surplus)} events are taken out")
    if wanted.raw.gaps:
        asked = ask_for_days(settings.telemetry_db, mapping, conditions(wanted.raw.gaps))
        progress(f"{len(wanted.raw.gaps)} days of prostheses asked for again in {asked} parts")
        unfinished += GapArrival(settings, oracle, progress, wanted.generation).wait(wanted.raw.gaps)
    again = [*wanted.raw.missing.items(), *wanted.raw.different.items()]
    for at in range(0, len(again), settings.reconciliation.repair_portion):
        portion = dict(again[at : at + settings.reconciliation.repair_portion])
        ids = [source_id(key, mapping.telemetry.event_id.type) for key in portion]
        ask_for_rows(settings.telemetry_db, mapping, ids)
        progress(f"{at + len(portion)} of {len(again)} rows asked for again")
        unfinished += Arrival(settings, oracle, progress, wanted.generation).wait(portion)
    again_commands = recomputes(wanted.days_by_prosthesis(), name, wanted.generation, wanted.unequal_keys())
    sent, ordered = send_located(settings.kafka, again_commands)
    progress(f"{sent} prostheses to recompute")
    return Mended(ordered, unfinished)


def deletes(surplus: Iterable[EventKey], name: str) -> list[Command]:
    """Delete commands for *surplus*, at most IDS_PER_DELETE ids each. *name*: of the repair, by which its commands go."""
    commands: list[Command] = []
    for prosthesis, keys in groupby(sorted(surplus), key=lambda key: key.prosthesis_id):
        halves = [(key.high, key.low) for key in keys]
        for at in range(0, len(halves), IDS_PER_DELETE):
            ids = tuple(halves[at : at + IDS_PER_DELETE])
            commands.append(Delete(command_id=f"{name}-delete-{len(commands)}", prosthesis_id=prosthesis, event_ids=ids, reason="repair"))
    return commands


def recomputes(days: Mapping[str, DayRange], name: str, generation: int | None = None, reports: Iterable[Key] = ()) -> list[Command]:
    """One recompute command a prosthesis, for the workers of all generations or of one. *name*: of the repair, by which its commands go.

    *reports*: those that are not as they should be, named so that also rows of the mart without a state are taken back.
    """
    named: dict[str, list[tuple[str, date]]] = {}
    for key in sorted(reports):
        named.setdefault(key.prosthesis_id, []).append((key.user_id, key.report_date))
    return [
        Recompute(
            command_id=f"{name}-recompute-{number}",
            prosthesis_id=prosthesis,
            from_date=range_.first,
            to_date=range_.last,
            generation=generation,
            reports=tuple(named.get(prosthesis, ())),
            reason="repair",
        )
        for number, (prosthesis, range_) in enumerate(days.items())
    ]


def _still_absent(settings: ReconciliationSettings, oracle: Oracle, surplus: Mapping[EventKey, Content]) -> list[EventKey]:
    """Those of *surplus* that PostgreSQL lacks now too, or has in an erased time: what came since the plan's snapshot must not be deleted."""
    there = in_source(settings, oracle, surplus)
    return [key for key in surplus if key not in there]
