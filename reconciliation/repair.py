"""``bionicpro repair``: makes raw telemetry equal to PostgreSQL by id, then has the reports recomputed and verifies them.

Planning changes nothing. Carrying out may be repeated: rows that are read again, deletes and recomputes leave the same state each time.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg

from reconciliation import verify as verifies
from reconciliation.commands import ask_for_rows, send
from reconciliation.day_range import DayRange
from reconciliation.directory import CrmRepair, differing, differing_anywhere
from reconciliation.fields import Key
from reconciliation.mart import Mart, serving_mart
from reconciliation.moment import Moments
from reconciliation.oracle import Oracle
from reconciliation.raw import Content, EventKey, RawDifference, event_key, source_id
from reconciliation.raw_comparison import RawComparison
from reconciliation.settings import ReconciliationSettings
from reconciliation.verification import Verification
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


class RepairError(RuntimeError):
    """A repair could not be finished; the message says what is still missing. Repeating it is safe."""


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
        return self.verification.found.unequal_keys | self.verification.unverified_keys

    def days_by_prosthesis(self) -> dict[str, DayRange]:
        """What to recompute: the days of unequal reports, and those that events which will change may lie in, in any time zone."""
        found: dict[str, list[date]] = {}
        for key in self.unequal_keys():
            found.setdefault(key.prosthesis_id, []).append(key.report_date)
        for part in (self.raw.missing, self.raw.different, self.raw.surplus):
            for event, content in part.items():
                day = (_EPOCH + int(content[0]) * _MICROSECOND).date()
                found.setdefault(event.prosthesis_id, []).extend((day - _DAY, day + _DAY))
        return {prosthesis: DayRange(min(days), max(days)) for prosthesis, days in sorted(found.items())}

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = {"missing": len(self.raw.missing), "different": len(self.raw.different), "surplus": len(self.raw.surplus)}
        return {
            "raw": counts,
            "ownership": len(self.owners | self.others),
            "recompute": len(self.days_by_prosthesis()),
            "verification": self.verification.as_json(),
        }

    def lines(self) -> Iterable[str]:
        """The same for people."""
        yield f"raw telemetry: {len(self.raw.missing)} missing, {len(self.raw.different)} different, {len(self.raw.surplus)} surplus"
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
    generation: int | None = None,
) -> Plan:
    """Verify the days *first* … *last* and compare raw telemetry of the same UTC days by id. Changes nothing.

    *generation*: the tables to look at; None: those that readers see.
    """
    verification = verifies.verify(settings, first, last, progress, generation)
    oracle = Oracle(SourceMapping.read(settings.reconciliation.mapping))
    unequal = {key.prosthesis_id for key in verification.found.unequal_keys | verification.unverified_keys}
    with serving_mart(settings.clickhouse, generation) as mart, Moments(settings, oracle, mart) as moments:
        with moments.now() as moment:
            strange = differing_anywhere(mart.all_documents(), moment.intervals)
            raw = RawComparison(settings, mart, moment, progress).run(first, last)
        if strange - unequal:  # looked at again: what moved meanwhile is no difference
            with moments.now() as moment:
                strange = (strange & unequal) | differing(strange, mart.documents(sorted(strange)), moment.intervals)
    return Plan(verification, raw, strange & unequal, strange - unequal, generation, first, last)


def carry_out(settings: ReconciliationSettings, wanted: Plan, progress: Progress = lambda _: None) -> Plan:
    """Do what *wanted* says, and what comes up behind it, and return the plan that is left: empty, and its verification equal, where all went well.

    What is mended stays mended, so that a repair which was interrupted goes on where it was when it is started again.
    Raises RepairError where rows or ownership do not arrive, once everything else was mended; CommandError, and what ``plan`` raises.
    """
    while True:
        _mend(settings, wanted, progress)
        left = plan(settings, wanted.first, wanted.last, progress, wanted.generation)
        if left.is_empty or not _goes_on(wanted.raw, left.raw):
            return left
        wanted = left


def _goes_on(before: RawDifference, now: RawDifference) -> bool:
    """Whether there are days that nobody has looked at yet: more of them than before, so that this ends."""
    return before.cut_after is not None and (now.cut_after is None or now.cut_after > before.cut_after)


def _mend(settings: ReconciliationSettings, wanted: Plan, progress: Progress) -> None:
    mapping = SourceMapping.read(settings.reconciliation.mapping)
    with serving_mart(settings.clickhouse, wanted.generation) as mart:
        oracle = Oracle(mapping, mart.erased())
    name = f"repair-{uuid.uuid4()}"
    unfinished: list[str] = []  # one damaged item holds up no other
    if wanted.owners or wanted.others:
        prostheses = sorted(wanted.owners | wanted.others)
        gone = CrmRepair(settings.kafka, settings.crm_db, mapping).run(prostheses)
        progress(f"ownership of {len(prostheses)} prostheses asked for again, {gone} rows of the CRM taken back")
        unfinished += _await_ownership(settings, oracle, sorted(wanted.owners), wanted.generation)
        # No report waits for these: one that cannot be mended, as where a contract cannot be read, is told and holds up nothing.
        for line in _await_ownership(settings, oracle, sorted(wanted.others), wanted.generation, OTHERS_WAIT_S):
            progress(line)
    surplus = _still_absent(settings, oracle, wanted.raw.surplus)
    send(settings.kafka, deletes(surplus, name))
    if surplus:
        progress(f"{len(surplus)} events are taken out")
    again = [*wanted.raw.missing.items(), *wanted.raw.different.items()]
    for at in range(0, len(again), settings.reconciliation.repair_portion):
        portion = dict(again[at : at + settings.reconciliation.repair_portion])
        ids = [source_id(key, mapping.telemetry.event_id.type) for key in portion]
        ask_for_rows(settings.telemetry_db, mapping, ids)
        progress(f"{at + len(portion)} of {len(again)} rows asked for again")
        unfinished += Arrival(settings, oracle, progress, wanted.generation).wait(portion)
    progress(
        f"{send(settings.kafka, recomputes(wanted.days_by_prosthesis(), name, wanted.generation, wanted.unequal_keys()))} prostheses to recompute"
    )
    if unfinished:
        raise RepairError("; ".join(unfinished) + ". Everything else was mended; repair again once these are")


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
    there = _in_source(settings, oracle, surplus)
    return [key for key in surplus if key not in there]


def _in_source(settings: ReconciliationSettings, oracle: Oracle, keys: Iterable[EventKey]) -> dict[EventKey, Content]:
    """What PostgreSQL has of *keys* now."""
    ids = [source_id(key, oracle.mapping.telemetry.event_id.type) for key in keys]
    with psycopg.connect(**settings.telemetry_db.conninfo()) as telemetry:  # type: ignore[arg-type]  # keyword arguments of mixed types
        return {event_key(row[0], row[1]): tuple(row[2:]) for row in oracle.events_by_id(telemetry, ids)}


@dataclass(frozen=True)
class Arrival:
    """Waits for rows that were asked for again, for as long as some of them still come."""

    settings: ReconciliationSettings
    oracle: Oracle
    progress: Progress
    generation: int | None

    def wait(self, wanted: Mapping[EventKey, Content]) -> list[str]:
        """Return when raw has *wanted*, but for what PostgreSQL has otherwise by now: such a change comes by itself.

        What is still missing when nothing comes any more is returned, in words. Raises RepairError where nothing came at all.
        """
        patience = self.settings.reconciliation.repair_timeout_s
        left, deadline, told = dict(wanted), time.monotonic() + patience, time.monotonic()
        with serving_mart(self.settings.clickhouse, self.generation) as mart:
            while left := self._not_there(mart, before := left):
                if len(left) < len(before):
                    deadline = time.monotonic() + patience
                if time.monotonic() > deadline:
                    missing = (
                        f"{len(left)} of {len(wanted)} rows that were asked for again did not arrive as PostgreSQL has them,"
                        f" e.g. {next(iter(left))}: is the connector running? (`bionicpro status`)"
                    )
                    if len(left) == len(wanted) > 1:
                        raise RepairError(f"{missing}; then repair again")
                    return [missing]
                if time.monotonic() - told > _TELL_S:
                    told = time.monotonic()
                    self.progress(f"{len(wanted) - len(left)} of {len(wanted)} rows have arrived")
                    now = _in_source(self.settings, self.oracle, left)
                    left = {key: content for key, content in left.items() if now.get(key) == content}
                time.sleep(_POLL_S)
        return []

    @staticmethod
    def _not_there(mart: Mart, wanted: Mapping[EventKey, Content]) -> dict[EventKey, Content]:
        there = mart.raw_contents(list(wanted))
        return {key: content for key, content in wanted.items() if there.get(key) != content}


def _await_ownership(
    settings: ReconciliationSettings, oracle: Oracle, prostheses: Sequence[str], generation: int | None, at_most_s: float = math.inf
) -> list[str]:
    """Wait for the ownership of *prostheses* to be what the CRM says. Returns what is not when the time is over, in words."""
    if not prostheses:
        return []
    deadline = time.monotonic() + min(settings.reconciliation.repair_timeout_s, at_most_s)
    with serving_mart(settings.clickhouse, generation) as mart:
        while True:
            with psycopg.connect(**settings.crm_db.conninfo()) as crm:  # type: ignore[arg-type]  # keyword arguments of mixed types
                intervals = oracle.intervals(crm, prostheses)
            left = differing(prostheses, mart.documents(prostheses), intervals)
            if not left:
                return []
            if time.monotonic() > deadline:
                return [
                    f"the ownership of {len(left)} of {len(prostheses)} prostheses did not become what the CRM says, e.g. of {min(left)}:"
                    " are the connector and the processor running? (`bionicpro status`; `bionicpro dlq list` says why one has no document)"
                ]
            time.sleep(_POLL_S)
