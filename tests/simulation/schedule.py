"""What happens in a schedule, made from its seed and nothing else: the workload, and the faults. Pure; ``world.py`` carries it out.

Each operation draws its own chances from its own seed, so that a schedule with some of them left out is still the same otherwise: that is what shrinking needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from schemas.ranges import END_US, OUTERMOST_US
from tests.simulation.store import EFFECTS, READS, Fault
from tests.support.log_model import iso, micro

SECONDS = 30.0
OPERATIONS = 45
WORKERS = ("a", "b", "c", "d")
ZONES = ("America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC", "Pacific/Apia")
# Around the end of summer time in New York and in Lord Howe, whose clocks move by half an hour.
BEGIN = datetime(2026, 10, 30, tzinfo=UTC)
FAR_DAYS = 40
REST = "rest"
HALF = 0.5
CALL_S = 0.01
SLOW_S = 0.2
INVALID = 1 / 9
FEW = 0.7
MOST_KINDS = 5
BURST_S = 0.5
AGAIN_S = 50.0  # by then a loss is healed
EVERY = 1_000  # more events than there are
LOSS = 0.15  # the part of the schedules in which something loses data
LOSSES = (
    "empty tables", "expire", "expire while they run", "make anew", "restore", "go back", "fail over", "crm goes back", "make the crms topic anew", "rebuild", "rebuild beside",
)  # fmt: skip
FROM_BACKUP = {"restore", "go back", "fail over", "crm goes back"}
UUIDS = 0.15  # the part of the schedules whose event ids are UUIDs
ODD = 0.06  # the part of the contracts whose bounds or parties are odd
ODD_BOUNDS = (
    (-OUTERMOST_US, "-infinity"), (-99_000_259_200_000_000, "-1168-10-21T16:00:00Z"), (END_US, "2100-01-01T00:00:00Z"),
    (253_402_300_800_000_000, "10000-01-01T00:00:00Z"), (OUTERMOST_US, "infinity"),
)  # fmt: skip
"""Instants no event can have, as they are told."""

GARBAGE = (b"", b"{", b'{"op":"c"}', b'{"type":"ownership"}', None)

FAULTY = (*((effect, fault) for effect in EFFECTS for fault in Fault), *((read, Fault.BEFORE) for read in READS),
          *((edge, fault) for edge in ("send", "changelog", "commit") for fault in (Fault.BEFORE, Fault.PART, Fault.AFTER, Fault.LATE)
            if (edge, fault) not in {("send", Fault.LATE), ("changelog", Fault.LATE), ("commit", Fault.PART), ("commit", Fault.AFTER)}),
          *((edge, fault) for edge in ("remove", "write_receipt") for fault in (Fault.BEFORE, Fault.AFTER, Fault.LATE)),
          ("eraser's read", Fault.BEFORE))  # fmt: skip

WORK = {
    "insert": 26, "update": 8, "move": 6, "hand over": 3, "renumber event": 1, "delete": 4, "withdraw": 1, "garbage": 1, "misplace": 0.5, "recompute": 1, "customer": 3, "contract": 6,
    "drop contract": 1, "prosthesis": 2, "user": 1.5, "forget customer": 0.8, "come again": 0.4, "renumber": 0.4, "renumber contract": 0.4, "erase": 0.6, "lose": 2, "lose crm": 0.5, "snapshot": 0.5, "window": 2, "merge": 2,
}  # fmt: skip
FAULTS = {
    "store fault": 12, "outage": 1, "kill": 3, "pause": 2, "join": 1, "leave": 1, "rebalance": 2, "repeat": 4, "repeat crm": 1, "abort": 2, "hold transaction": 1,
    "compact": 1, "night": 0.4,
}  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """*what* at *at_s*, with the chances of *seed*."""

    at_s: float
    what: str
    seed: str

    @property
    def chance(self) -> Random:
        return Random(self.seed)

    def __str__(self) -> str:
        return f"{self.at_s:6.2f} s {self.what}"


@dataclass(frozen=True)
class Width:
    """How much there is of everything, and over how many days: the less, the more often things meet. *on_the_hour*: the part of the instants that are, and so may be the same; *recent*: of how many newest events most changes are; *invalid*: the part of the readings that are."""

    prostheses: tuple[int, ...] = (1, 2, 10)
    customers: int = 4
    contracts: int = 6
    days: int = 4
    on_the_hour: float = 0.3
    recent: int = 12
    invalid: float = INVALID


WIDE = Width()
NARROW = Width(prostheses=(1, 2), customers=3, contracts=3, days=1, on_the_hour=0.6, recent=3)


@dataclass(frozen=True)
class Mix:
    """What schedules have more of. *more*: by how much what is done comes more often; *faulty*: what goes wrong (effect, fault); *losses*: the part of the schedules that lose data; *operations*: about how many, within *seconds*; *rests*: how often all is handled, and compared, before the end;
    *swarm*: each schedule leaves out half of all kinds at random, so that what is left comes together more often (Groce et al., "Swarm testing", ISSTA 2012);
    *few*: all but a few, of one of THEMES or of all, each as often as the other, and what is done is done in bursts.
    """

    more: dict[str, float] = field(default_factory=dict)
    faulty: tuple[tuple[str, Fault], ...] = FAULTY
    losses: float = LOSS
    operations: int = OPERATIONS
    seconds: float = SECONDS
    rests: int = 0
    swarm: bool = False
    few: bool = False
    width: Width = WIDE


OF_ERASURES = {"write_erasures", "erasures", "remove", "write_receipt", "eraser's read"}
OF_REPORTS = {"write_telemetry", "write_reports", "write_states", "write_progress", "commit"}
OF_DIRECTORY = {"changelog", "send", "commit"}


@dataclass(frozen=True)
class Theme:
    """Kinds that have to do with each other, and what goes wrong with them."""

    kinds: frozenset[str]
    faulty: tuple[tuple[str, Fault], ...]


def _faults_of(effects: set[str]) -> tuple[tuple[str, Fault], ...]:
    return tuple(pair for pair in FAULTY if pair[0] in effects)


THEMES = (
    Theme(
        frozenset({"customer", "contract", "drop contract", "prosthesis", "user", "forget customer", "come again", "renumber", "renumber contract", "erase", "night", "compact", "kill",
                   "pause", "repeat crm", "rebalance", "lose crm"}),
        _faults_of(OF_DIRECTORY),
    ),
    Theme(
        frozenset({"update", "move", "hand over", "renumber event", "delete", "withdraw", "garbage", "recompute", "contract", "lose", "snapshot", "window", "merge", "kill",
                   "pause", "repeat", "rebalance"}),
        _faults_of(OF_REPORTS),
    ),
    Theme(frozenset({"update", "lose", "snapshot", "window", "repeat", "kill"}), _faults_of(OF_REPORTS)),
    Theme(frozenset({"erase", "forget customer", "come again", "renumber", "user", "contract", "move", "hand over", "lose", "window", "merge", "kill", "pause"}), _faults_of(OF_ERASURES | OF_REPORTS)),
)  # fmt: skip

# What a fault is shrunk to has a few operations: many such schedules instead of a long one.
BRIEF = Mix({"store fault": 3, "kill": 2, "outage": 0.5}, losses=0.3, operations=9, seconds=10.0, swarm=True, few=True, width=NARROW)

MIXES = {
    "usual": Mix(),
    "erasures": Mix(
        {"erase": 12, "forget customer": 6, "user": 3, "drop contract": 3, "night": 3, "store fault": 2},
        _faults_of(OF_ERASURES),
    ),
    "losses": Mix(losses=1.0),
    "snapshots": Mix(
        {"lose": 6, "snapshot": 4, "window": 4, "move": 3, "hand over": 3, "withdraw": 3, "kill": 3, "rebalance": 2, "store fault": 3},
        _faults_of(OF_REPORTS),
    ),
    "directory": Mix(
        {"contract": 3, "customer": 2, "drop contract": 3, "user": 2, "lose crm": 4, "night": 4, "compact": 4, "kill": 2, "store fault": 3},
        _faults_of(OF_DIRECTORY),
    ),
    "dense": Mix({"store fault": 4, "kill": 2, "outage": 0.5}, operations=OPERATIONS * 3, rests=6, swarm=True, width=NARROW),
    "brief": BRIEF,
    "brief losses": replace(BRIEF, losses=1.0),
}


@dataclass(frozen=True)
class Schedule:
    """*seed* chooses order, latencies and shares of partitions; *operations* are what is done, *faulty* what may go wrong at a store fault. *uuids*: event ids have no order; *in_parts*: raw is read event by event, and each recompute is left in between. *call_s*: how long the store takes on each side of an effect at most; *small*: workers take and remember little at once."""

    seed: int
    workers: int
    operations: tuple[Operation, ...]
    uuids: bool = False
    faulty: tuple[tuple[str, Fault], ...] = FAULTY
    width: Width = WIDE
    in_parts: bool = False
    call_s: float = CALL_S
    small: bool = False


def schedule(seed: int, mix: str = "usual") -> Schedule:
    """*mix*: one of MIXES."""
    chance, of = Random(f"schedule {seed}"), MIXES[mix]
    faults = dict(FAULTS) if chance.random() < 0.9 else {"store fault": 1}
    # In some schedules one kind of fault comes again and again: what it takes two of is else too rare.
    favourite = chance.choice(list(faults))
    faults[favourite] *= 4
    pool = {**WORK, **{name: weight * 0.7 for name, weight in faults.items()}}
    pool = {name: weight * of.more.get(name, 1) for name, weight in pool.items()}
    faulty, width, in_parts, call_s, small = of.faulty, of.width, False, CALL_S, False
    if of.swarm:
        pool = {name: weight for name, weight in pool.items() if name == "insert" or chance.random() < HALF}
        faulty = tuple(pair for pair in faulty if chance.random() < HALF) or faulty
        width = replace(width, recent=chance.choice((width.recent, EVERY)), invalid=chance.choice((INVALID, INVALID, HALF)))
        in_parts, small = chance.random() < HALF, chance.random() < HALF
    few = of.few and chance.random() < FEW
    if few:
        call_s = chance.choice((CALL_S, CALL_S, SLOW_S))
        theme = chance.choice((Theme(frozenset(pool), faulty), *THEMES))
        kinds = {"insert", "store fault", *chance.sample(sorted(theme.kinds), chance.randrange(1, MOST_KINDS))}
        pool = dict.fromkeys(sorted(kinds), 1.0)
        faulty = tuple(chance.sample(theme.faulty, min(len(theme.faulty), chance.randrange(1, MOST_KINDS))))
    names, weights = list(pool), list(pool.values())
    count = chance.randrange(of.operations // 3, of.operations * 3 // 2)
    bursts = [chance.random() * of.seconds for _ in range(chance.randrange(1, count + 1))] if few else []
    operations = [
        Operation(round(_moment(chance, bursts, of.seconds), 3), chance.choices(names, weights)[0], f"{seed}/{i}") for i in range(count)
    ]
    operations += [Operation(round(chance.random() * of.seconds, 3), REST, f"{seed}/rest") for _ in range(of.rests)]
    if chance.random() < of.losses:
        operations += _loss(chance, f"{seed}", 0.0, of.seconds)
        if few and chance.random() < HALF:
            moments = [round(AGAIN_S + chance.random() * of.seconds, 3) for _ in range(count)]
            operations += [Operation(at, chance.choices(names, weights)[0], f"{seed}/again/{i}") for i, at in enumerate(moments)]
            operations += _loss(chance, f"{seed}/again", AGAIN_S, of.seconds)
    workers, uuids = chance.choice((1, 1, 2, 2, 3)), chance.random() < UUIDS
    return Schedule(
        seed, workers, tuple(sorted(operations, key=lambda operation: operation.at_s)), uuids, faulty, width, in_parts, call_s, small
    )


def _moment(chance: Random, bursts: list[float], seconds: float) -> float:
    return chance.choice(bursts) + chance.random() * BURST_S if bursts else chance.random() * seconds


def _loss(chance: Random, seed: str, begins_s: float, seconds: float) -> list[Operation]:
    """Something that loses data, at some moment after the beginning; a restored backup is from before."""
    first, second = sorted(round(begins_s + 6 + chance.random() * (seconds - 6), 3) for _ in range(2))
    what = chance.choice(LOSSES)
    if what == "fail over":  # the standby lacks the last moments
        first = second - 1.5 * chance.random()
    backup = [Operation(first, "back up", f"{seed}/backup")] if what in FROM_BACKUP else []
    return [*backup, Operation(second, what, f"{seed}/loss")]


# -- content, drawn by an operation


def instant(chance: Random, width: Width) -> int:
    if chance.random() < 0.1:
        return micro(BEGIN - timedelta(seconds=chance.randrange(FAR_DAYS * 86_400)))
    if chance.random() < width.on_the_hour:
        return micro(BEGIN + timedelta(hours=chance.randrange(width.days * 24)))
    return micro(BEGIN) + chance.randrange(width.days * 86_400_000_000)


def reading(chance: Random, width: Width) -> dict[str, Any]:
    if chance.random() < width.invalid:
        return {"kind": "battery", "battery_percent": 101}
    match chance.randrange(8):
        case 0 | 1:
            return {"kind": "battery", "battery_percent": chance.randrange(101)}
        case 2:
            return {"kind": "error", "error_code": f"E{chance.randrange(3)}", "error_severity": chance.choice(("info", "critical"))}
        case 3:
            return {"kind": "location", "latitude": chance.uniform(-90, 90), "longitude": chance.uniform(-180, 180)}
        case _:
            return {"kind": "signal", "amplitude_uv": chance.randrange(40_000), "movement_recognised": chance.random() < 0.8,
                    "active_ms": chance.randrange(5_000)}  # fmt: skip


def event(chance: Random, width: Width) -> dict[str, Any]:
    return reading(chance, width) | {"prosthesis_id": chance.choice(width.prostheses), "recorded_us": instant(chance, width)}


def customer(chance: Random, number: int, user_id: str) -> dict[str, Any]:
    return {
        "customer_id": number,
        "user_id": user_id,
        "full_name": f"Name {chance.randrange(3)}",
        "timezone": chance.choice(ZONES),
    }


def contract(chance: Random, number: int, customers: list[int], width: Width) -> dict[str, Any]:
    begins = micro(BEGIN - timedelta(days=FAR_DAYS + 9)) if chance.random() < 0.4 else instant(chance, width)
    ends = instant(chance, width) if chance.random() < 0.3 else None
    row = {
        "contract_id": number, "number": f"N-{number}", "customer_id": chance.choice(customers), "prosthesis_id": chance.choice(width.prostheses),
        "starts_us": begins, "ends_us": ends, "starts_at": iso(begins), "ends_at": None if ends is None else iso(ends),
    }  # fmt: skip
    return row | _oddity(chance) if chance.random() < ODD else row


def _oddity(chance: Random) -> dict[str, Any]:
    """A bound that no event can have, or one of the parties missing."""
    at, told = chance.choice(ODD_BOUNDS)
    return chance.choice((
        {"starts_us": at, "starts_at": told}, {"ends_us": at, "ends_at": told}, {"starts_us": None, "starts_at": None},
        {"customer_id": None}, {"prosthesis_id": None},
    ))  # fmt: skip


def prosthesis(chance: Random, number: int) -> dict[str, Any]:
    return {"prosthesis_id": number, "model": chance.choice(("Arm", "Hand")), "serial_number": f"SN-{number}"}
