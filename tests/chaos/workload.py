"""What devices and the CRM do during a schedule, made from a seed and nothing else: operations with their time, their SQL left to execution.py. Pure.

Ids are given here, not by the database, so that an operation whose commit is not known to have happened can be done again, and a seed is the same data.
Two devices' gateways hand ids out alternately and commit when they like, so ids arrive a little out of order, as those of a sequence do.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.chaos.oddities import BOUNDS, LONG_DAY, LONG_DAY_ZONE, ODD_ZONES, OUTERMOST, REFUSED, TOO_LARGE_BYTES

Row = dict[str, Any]
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "America/St_Johns", "Pacific/Apia")
PROSTHESES = 8
CUSTOMERS = 6
GATEWAYS = 2
DAYS = 5
LATE_DAYS = 70
# Of these many customers one may be deleted, of the others one may be erased by command; either in this share of schedules, because what is erased is tried no further.
FORGETTABLE = 3
ERASED_SHARE = 0.4
TOO_LARGE_SHARE = 0.2  # of garbage
FIRST_EVENT, EVENTS_PER_SCHEDULE = 1_000_000_000, 1_000_000
FIRST_YEAR, YEARS = 2006, 18
LONG_DAYS = 6  # in one schedule of so many a day of 27 hours is among the days
COLUMNS = (
    "event_id", "prosthesis_id", "recorded_at", "kind", "amplitude_uv", "movement_recognised", "active_ms", "battery_percent", "error_code",
    "error_severity", "latitude", "longitude",
)  # fmt: skip
NOTHING: Row = dict.fromkeys(COLUMNS[3:])
BROKEN: tuple[Row, ...] = (
    {"kind": "battery", "battery_percent": 150},
    {"kind": "nonsense"},
    {"kind": "signal", "amplitude_uv": None},
    {"kind": "error", "error_code": "no spaces allowed", "error_severity": "info"},
    *REFUSED,
)


@dataclass(frozen=True)
class Operation:
    """*what* is done at *at_s* by *actor*; *details* are what ``execution`` needs of it."""

    at_s: float
    actor: str
    what: str
    details: dict[str, Any]


@dataclass
class Plan:
    """All operations of a schedule, and what is known of their outcome: *broken* are ids of events that were invalid at some time, *garbage* values that are no records,
    *gone* the customers who were deleted and so have to be erased, *nobodies* prostheses of the CRM whose ids are none. Events below *first_event* are of
    earlier schedules on the same servers."""

    first: datetime
    prostheses: list[int]
    customers: list[int]
    operations: list[Operation] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)
    garbage: set[bytes] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    nobodies: set[int] = field(default_factory=set)
    zones: tuple[str, ...] = ZONES
    first_event: int = FIRST_EVENT
    events: int = 0

    @property
    def days(self) -> tuple[datetime, datetime]:
        return self.first - timedelta(days=LATE_DAYS + 2), self.first + timedelta(days=DAYS + 2)


def plan(seed: int, number: int, seconds: float) -> Plan:
    """*number* keeps the ids of different schedules on one set of servers apart; everything else follows from *seed*."""
    chance = random.Random(f"workload {seed}")
    base = 1_000_000 + number * 100
    # Around the end of summer time in the north and its beginning in the south.
    first = datetime(FIRST_YEAR + seed % YEARS, *chance.choice(((10, 28), (10, 1), (3, 9), (3, 29), (4, 1))), tzinfo=UTC)
    zones = ZONES
    if seed % LONG_DAYS == 1:
        first, zones = LONG_DAY, (LONG_DAY_ZONE,) * len(ZONES) + ZONES
    made = Plan(
        first,
        list(range(base, base + PROSTHESES)),
        list(range(base, base + CUSTOMERS)),
        zones=zones,
        first_event=FIRST_EVENT + number * EVENTS_PER_SCHEDULE,
    )
    for gateway in range(GATEWAYS):
        _Gateway(made, random.Random(f"gateway {seed} {gateway}"), gateway).run(seconds)
    _Crm(made, random.Random(f"crm {seed}"), base).run(seconds)
    _operator(made, random.Random(f"operator {seed}"), seconds)
    made.operations.sort(key=lambda operation: operation.at_s)
    return made


def user_id(customer: int) -> str:
    return str(UUID(int=customer))


class _Gateway:
    """Sends, corrects and withdraws events."""

    def __init__(self, made: Plan, chance: random.Random, gateway: int) -> None:
        self._plan = made
        self._chance = chance
        self._next = made.first_event + gateway
        self._actor = f"gateway-{gateway}"
        self._live: list[int] = []
        self._gone: list[int] = []
        self._at = 0.0

    def run(self, seconds: float) -> None:
        chance = self._chance
        actions = (
            (self._insert, 30), (self._multi, 25), (self._copy, 8), (self._correct, 10), (self._move, 6), (self._hand_over, 5),
            (self._withdraw, 8), (self._withdraw_many, 2), (self._correct_many, 2), (self._fleeting, 2), (self._break, 2), (self._delete_command, 2),
            (self._outermost, 2), (self._nobody, 1), (self._message, 1),
        )  # fmt: skip
        names, weights = zip(*actions, strict=True)
        while self._at < seconds:
            chance.choices(names, weights)[0]()
            self._at += chance.expovariate(1 / 0.15)

    def _add(self, what: str, actor: str | None = None, **details: Any) -> None:
        self._plan.operations.append(Operation(round(self._at, 3), actor or self._actor, what, details))

    def _rows(self, count: int) -> list[Row]:
        return [self._new() for _ in range(count)]

    def _new(self) -> Row:
        event_id, self._next = self._next, self._next + GATEWAYS
        self._live.append(event_id)
        self._plan.events += 1
        return {"event_id": event_id} | self._content(event_id)

    def _content(self, event_id: int) -> Row:
        chance = self._chance
        row = {"prosthesis_id": chance.choice(self._plan.prostheses), "recorded_at": self._instant()} | NOTHING
        if chance.random() < 0.01:
            self._plan.broken.add(event_id)
            return row | chance.choice(BROKEN)
        return row | self._reading()

    def _instant(self) -> datetime:
        chance = self._chance
        if chance.random() < 0.08:
            return self._plan.first - timedelta(seconds=chance.randrange(LATE_DAYS * 86_400))
        if chance.random() < 0.2:
            return self._plan.first + timedelta(hours=chance.randrange(DAYS * 24))
        return self._plan.first + timedelta(microseconds=chance.randrange(DAYS * 86_400 * 1_000_000))

    def _reading(self) -> Row:
        chance = self._chance
        match chance.randrange(6):
            case 0:
                return {"kind": "battery", "battery_percent": chance.randrange(101)}
            case 1:
                return {
                    "kind": "error",
                    "error_code": f"E{chance.randrange(4)}",
                    "error_severity": chance.choice(("info", "warning", "critical")),
                }
            case 2:
                return {"kind": "location", "latitude": chance.uniform(-90, 90), "longitude": chance.uniform(-180, 180)}
            case _:
                signal = {"amplitude_uv": chance.randrange(40_000), "movement_recognised": chance.random() < 0.8}
                return {"kind": "signal", "active_ms": chance.randrange(5_000)} | signal

    def _some(self, count: int = 1) -> list[int]:
        """Events that are there, recent ones rather."""
        recent = self._live[-40:] if self._chance.random() < 0.6 else self._live
        return self._chance.sample(recent, min(count, len(recent)))

    def _insert(self) -> None:
        self._add("insert", rows=self._rows(1))

    def _multi(self) -> None:
        self._add("insert", rows=self._rows(self._chance.randrange(2, 20)))

    def _copy(self) -> None:
        self._add("copy", rows=self._rows(self._chance.randrange(30, 250)))

    def _correct(self) -> None:
        for event_id in self._some():
            self._add("update", ids=[event_id], set=NOTHING | self._reading())

    def _move(self) -> None:
        for event_id in self._some():
            self._add("update", ids=[event_id], set={"recorded_at": self._instant()})

    def _hand_over(self) -> None:
        for event_id in self._some():
            self._add("update", ids=[event_id], set={"prosthesis_id": self._chance.choice(self._plan.prostheses)})

    def _withdraw(self, count: int = 1) -> None:
        ids = self._some(count)
        if ids:
            self._live = [event_id for event_id in self._live if event_id not in ids]
            self._gone.extend(ids)
            self._add("delete", ids=ids)

    def _withdraw_many(self) -> None:
        self._withdraw(self._chance.randrange(2, 30))

    def _correct_many(self) -> None:
        self._add("update", ids=self._some(20), set={"recorded_at": self._instant()})

    def _fleeting(self) -> None:
        """An event that comes, changes and goes within one transaction."""
        row = self._new()
        self._live.pop()
        self._gone.append(row["event_id"])
        self._add("fleeting", rows=[row], set=NOTHING | self._reading())

    def _break(self) -> None:
        """A correction that is none."""
        for event_id in self._some():
            self._plan.broken.add(event_id)
            self._add("update", ids=[event_id], set=NOTHING | self._chance.choice(BROKEN))

    def _outermost(self) -> None:
        """An event, and a correction, that go as far as they may."""
        row = self._new()
        if row["event_id"] not in self._plan.broken:
            row |= NOTHING | self._chance.choice(OUTERMOST)
        self._add("insert", rows=[row])
        for event_id in self._some():
            self._add("update", ids=[event_id], set=NOTHING | self._chance.choice(OUTERMOST))

    def _nobody(self) -> None:
        """Ids that are none: of an event, which nothing corrects later, or of a prosthesis."""
        row = self._new()
        if self._chance.random() < 0.5:
            self._live.pop()
            self._plan.broken.discard(row["event_id"])  # its content may be invalid too, but nothing comes under this id
            row["event_id"] = -row["event_id"]
        else:
            row["prosthesis_id"] = -row["prosthesis_id"]
        self._plan.broken.add(row["event_id"])
        self._add("insert", rows=[row])

    def _message(self) -> None:
        self._add("message", transactional=self._chance.random() < 0.5, content=f"gateway {self._chance.random()}")

    def _delete_command(self) -> None:
        if self._gone:
            prosthesis = self._chance.choice(self._plan.prostheses)
            self._add("delete-command", "operator", prosthesis=prosthesis, ids=self._chance.sample(self._gone, min(5, len(self._gone))))


class _Crm:
    """Customers, contracts and prostheses that come, are corrected and pass from hand to hand."""

    def __init__(self, made: Plan, chance: random.Random, base: int) -> None:
        self._plan = made
        self._chance = chance
        self._next_contract = base * 10
        self._contracts: list[int] = []
        self._customers = list(made.customers)
        self._at = 0.0

    def run(self, seconds: float) -> None:
        chance = self._chance
        for prosthesis in self._plan.prostheses:
            self._add("prosthesis", id=prosthesis, model="Arm", serial=f"C-{prosthesis}")
        for customer in self._plan.customers:
            self._add("customer", id=customer, user_id=user_id(customer), name=f"Name {customer}", zone=chance.choice(self._plan.zones))
        # The last prostheses get their owners later, when telemetry has come already.
        for prosthesis in self._plan.prostheses[:-2]:
            self._contract(prosthesis, self._plan.first - timedelta(days=LATE_DAYS + 10), None)
        actions = (
            (self._rename, 2), (self._zone, 2), (self._model, 1), (self._pass_on, 3), (self._overlap, 2), (self._correct, 3), (self._end, 1),
            (self._drop, 1), (self._odd_bounds, 2), (self._message, 1), (self._nobody, 0.3),
        )  # fmt: skip
        names, weights = zip(*actions, strict=True)
        forget_at = seconds * chance.uniform(0.3, 0.8) if chance.random() < ERASED_SHARE else seconds
        self._at = 1.0
        while self._at < seconds:
            if self._at >= forget_at and not self._plan.gone:
                self._forget()
            chance.choices(names, weights)[0]()
            self._at += chance.expovariate(1 / 1.5)

    def _add(self, what: str, **details: Any) -> None:
        self._plan.operations.append(Operation(round(self._at, 3), "crm", what, details))

    def _contract(self, prosthesis: int, begins: datetime | str, ends: datetime | str | None) -> None:
        self._next_contract += 1
        self._contracts.append(self._next_contract)
        customer = self._chance.choice(self._customers)
        self._add("contract", id=self._next_contract, customer=customer, prosthesis=prosthesis, begins=begins, ends=ends)

    def _instant(self) -> datetime:
        return self._plan.first + timedelta(seconds=self._chance.randrange(DAYS * 86_400))

    def _rename(self) -> None:
        self._add("set-customer", id=self._chance.choice(self._customers), set={"full_name": f"Name {self._chance.random()}"})

    def _zone(self) -> None:
        zones = ODD_ZONES if self._chance.random() < 0.3 else self._plan.zones
        self._add("set-customer", id=self._chance.choice(self._customers), set={"timezone": self._chance.choice(zones)})

    def _model(self) -> None:
        self._add("set-prosthesis", id=self._chance.choice(self._plan.prostheses), set={"model": f"Arm {self._chance.randrange(9)}"})

    def _pass_on(self) -> None:
        """Given to another customer, in the middle of a day as a rule."""
        prosthesis, at = self._chance.choice(self._plan.prostheses), self._instant()
        self._add("end-contracts", prosthesis=prosthesis, at=at)
        self._contract(prosthesis, at, None)

    def _overlap(self) -> None:
        begins = self._instant()
        length = timedelta(hours=self._chance.randrange(-5, 80))
        self._contract(self._chance.choice(self._plan.prostheses), begins, begins + length)

    def _correct(self) -> None:
        if self._contracts:
            column = self._chance.choice(("starts_at", "starts_at", "ends_at", "customer_id"))
            value: Any = self._chance.choice(self._customers) if column == "customer_id" else self._instant()
            if column == "starts_at" and self._chance.random() < 0.6:
                value -= timedelta(days=self._chance.randrange(LATE_DAYS))
            self._add("set-contract", id=self._chance.choice(self._contracts), set={column: value})

    def _odd_bounds(self) -> None:
        """Further off than any event can be, or for ever."""
        if self._contracts and self._chance.random() < 0.5:
            column = self._chance.choice(("starts_at", "ends_at"))
            self._add("set-contract", id=self._chance.choice(self._contracts), set={column: self._chance.choice(BOUNDS)})
        else:
            ends = self._chance.choice((None, self._instant(), *BOUNDS))
            self._contract(self._chance.choice(self._plan.prostheses), self._chance.choice(BOUNDS), ends)

    def _message(self) -> None:
        self._add("message", transactional=self._chance.random() < 0.5, content=f"crm {self._chance.random()}")

    def _nobody(self) -> None:
        """A prosthesis whose id is none."""
        prosthesis = -self._chance.choice(self._plan.prostheses)
        self._plan.nobodies.add(prosthesis)
        self._add("prosthesis", id=prosthesis, model="Arm", serial=f"C{prosthesis}")

    def _end(self) -> None:
        self._add("set-contract", id=self._chance.choice(self._contracts), set={"ends_at": self._instant()})

    def _drop(self) -> None:
        if len(self._contracts) > 4:
            contract = self._chance.choice(self._contracts)
            self._contracts.remove(contract)
            self._add("drop-contract", id=contract)

    def _forget(self) -> None:
        """A customer leaves: deleted with all contracts, and so erased."""
        customer = self._chance.choice(self._customers[:FORGETTABLE])
        self._customers.remove(customer)
        self._plan.gone.add(customer)
        self._add("forget", id=customer)


def _operator(made: Plan, chance: random.Random, seconds: float) -> None:
    """Commands of the operator's, and what no connector would send."""
    at = 2.0
    while at < seconds:
        prosthesis = chance.choice(made.prostheses)
        match chance.randrange(4):
            case 0 | 1:
                days = None if chance.random() < 0.4 else sorted(chance.randrange(-5, DAYS + 2) for _ in range(2))
                made.operations.append(Operation(round(at, 3), "operator", "recompute-command", {"prosthesis": prosthesis, "days": days}))
            case 2:
                value = f"garbage {chance.random()}".encode()
                if chance.random() < TOO_LARGE_SHARE:
                    value = value.ljust(TOO_LARGE_BYTES, b".")
                made.garbage.add(value)
                made.operations.append(Operation(round(at, 3), "operator", "garbage", {"prosthesis": prosthesis, "value": value}))
            case _:
                made.operations.append(Operation(round(at, 3), "operator", "snapshot", {"prosthesis": prosthesis}))
        at += chance.expovariate(1 / 1.5)
    if chance.random() < ERASED_SHARE:
        asked = Operation(
            round(seconds * chance.uniform(0.3, 0.8), 3), "operator", "erase", {"customer": chance.choice(made.customers[FORGETTABLE:])}
        )
        made.operations.append(asked)
