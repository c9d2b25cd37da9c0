"""Carries a plan out against real servers, each actor in a thread of its own, through whatever fails meanwhile.

Every operation can be done again: after a broken connection nobody knows whether it was committed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
from confluent_kafka import KafkaException, Producer
from psycopg import sql

from cli.erase.customer import EraseError, ask
from reconciliation.commands import CommandError, ask_for_rows, send
from schemas.commands import Delete, Recompute
from schemas.erasure import ErasureRequest
from schemas.keys import LOG_TOPIC, prosthesis_key
from schemas.mapping import SourceMapping
from service_kit.settings import KafkaSettings, PostgresSettings
from tests.chaos.accident import Accident
from tests.chaos.owner import NotYetError, Owner
from tests.chaos.workload import COLUMNS, Operation, Plan

AFTERWARDS_S = 90.0
OWNER_AFTERWARDS_S = 240.0  # a repair is tried until the faults let one through
LOSS_AFTERWARDS_S = 900.0  # and so is a rebuild
PAUSE_S = 0.3
SNAPSHOT_ROWS = 40
EVENTS = sql.Identifier("telemetry", "telemetry_events")
NAMES = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
COPY = sql.SQL("COPY {} ({}) FROM STDIN").format(EVENTS, NAMES)
# What a table whose owner changes it answers: nobody's statement is to blame, and it is made again until the table is as it was.
DRIFTED = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidColumnReference,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.InsufficientPrivilege,
)
PASSING = (psycopg.OperationalError, psycopg.InterfaceError, CommandError, EraseError, KafkaException, OSError, NotYetError, *DRIFTED)


class Database:
    """A connection that is made anew where it broke. One thread."""

    def __init__(self, conninfo: dict[str, Any]) -> None:
        self._conninfo = conninfo | {"connect_timeout": 5, "options": "-c statement_timeout=20000 -c lock_timeout=10000"}
        self._connection: psycopg.Connection[Any] | None = None

    def transaction(self, work: Callable[[psycopg.Cursor[Any]], None]) -> None:
        """*work* in one transaction. Raises psycopg's errors; whether it was committed is then unknown."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(**self._conninfo)
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                work(cursor)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Actor(threading.Thread):
    """Does its operations in order, each at its time or as soon as it can, then *leave*; ``finish`` waits for it and raises what went wrong."""

    def __init__(self, operations: list[Operation], do: Callable[[Operation], None], leave: Callable[[], None], limit_s: float) -> None:
        super().__init__(name=operations[0].actor, daemon=True)
        self._operations = operations
        self._do = do
        self._leave = leave
        self._limit_s = limit_s
        self._error: BaseException | None = None
        self.done = 0
        self.retries = 0

    def run(self) -> None:
        began = time.monotonic()
        try:
            for operation in self._operations:
                time.sleep(max(0.0, began + operation.at_s - time.monotonic()))
                self._until_done(operation, began + self._limit_s)
                self.done += 1
        except BaseException as error:  # told by ``finish`` to whoever started the thread
            self._error = error
        finally:
            self._leave()

    def finish(self) -> None:
        self.join(self._limit_s)
        if self._error is not None:
            raise RuntimeError(f"{self.name} gave up after {self.done} of {len(self._operations)} operations") from self._error
        if self.is_alive():
            raise RuntimeError(f"{self.name} did not end: {self.done} of {len(self._operations)} operations")

    def _until_done(self, operation: Operation, deadline: float) -> None:
        while True:
            try:
                self._do(operation)
            except PASSING:
                if time.monotonic() > deadline:
                    raise
                self.retries += 1
                time.sleep(PAUSE_S)
            else:
                return


class Execution:
    """*telemetry* and *crm*: keyword arguments of ``psycopg.connect``; *signals*: the auditor's access to telemetry."""

    def __init__(
        self,
        plan: Plan,
        telemetry: dict[str, Any],
        crm: dict[str, Any],
        signals: PostgresSettings,
        kafka: KafkaSettings,
        owner: Owner,
        accident: Accident | None,
    ) -> None:
        self._plan = plan
        self._owner = owner
        self._accident = accident
        self._perhaps_hidden: set[int] = set()
        self._signals = signals
        self._kafka = kafka
        self._mapping = SourceMapping.read()
        self._conninfo = {"crm": crm, "gateway": telemetry}
        self._actors: list[Actor] = []

    def start(self, seconds: float) -> None:
        by_actor: dict[str, list[Operation]] = {}
        for operation in self._plan.operations:
            by_actor.setdefault(operation.actor, []).append(operation)
        for actor, operations in by_actor.items():
            limit_s = seconds + {"owner": OWNER_AFTERWARDS_S, "loss": LOSS_AFTERWARDS_S}.get(actor, self._patience_s)
            self._actors.append(Actor(operations, *self._doer(actor), limit_s))
        for started in self._actors:
            started.start()

    def finish(self) -> None:
        """Until every operation is done. Raises RuntimeError naming the actor that could not."""
        for actor in self._actors:
            actor.finish()

    @property
    def hidden(self) -> set[int]:
        """The events whose rows may never have arrived, for all that the source's owner did."""
        return self._perhaps_hidden if self._owner.hid else set()

    @property
    def done(self) -> int:
        return sum(actor.done for actor in self._actors)

    @property
    def retries(self) -> int:
        return sum(actor.retries for actor in self._actors)

    def _doer(self, actor: str) -> tuple[Callable[[Operation], None], Callable[[], None]]:
        """What does an operation of *actor*, and what ends its part."""
        if actor == "operator":
            return self._operate, lambda: None
        if actor == "owner":
            return self._owner.do, lambda: None
        if actor == "loss" and self._accident:
            return self._accident.do, lambda: None
        database = Database(self._conninfo[actor.partition("-")[0]])
        act = _change_crm if actor == "crm" else _change_telemetry

        def do(operation: Operation) -> None:
            hiding = self._owner.hiding
            database.transaction(lambda cursor: act(cursor, operation.what, operation.details))
            if hiding or self._owner.hiding:
                self._perhaps_hidden |= _events_of(operation)

        return do, database.close

    @property
    def _patience_s(self) -> float:
        """Whoever works on a server that an accident befell waits as long as its healing may take."""
        return LOSS_AFTERWARDS_S if self._accident else AFTERWARDS_S

    # -- the operator ---------------------------------------------------------------------------------------------------

    def _operate(self, operation: Operation) -> None:
        details = operation.details
        match operation.what:
            case "recompute-command":
                days = details["days"]
                first, last = (self._day(day) for day in days) if days else (None, None)
                one = Recompute(
                    command_id="chaos", prosthesis_id=str(details["prosthesis"]), from_date=first, to_date=last, reason="chaos"
                )  # fmt: skip
                send(self._kafka, [one])
            case "delete-command":
                ids = tuple((0, event_id) for event_id in details["ids"])
                send(self._kafka, [Delete(command_id="chaos", prosthesis_id=str(details["prosthesis"]), event_ids=ids, reason="chaos")])
            case "erase":
                customer = str(details["customer"])
                ask(self._kafka, ErasureRequest(request_id=str(uuid4()), issued_us=time.time_ns() // 1000, customer_id=customer))
            case "garbage":
                self._produce(prosthesis_key(details["prosthesis"]), details["value"])
            case "snapshot":
                self._ask_for_rows(details["prosthesis"])
            case unknown:
                raise ValueError(unknown)

    def _day(self, shift: int) -> date:
        return (self._plan.first + timedelta(days=shift)).date()

    def _produce(self, key: bytes, value: bytes) -> None:
        failed: list[Any] = []
        producer = Producer(self._kafka.producer() | {"compression.type": "lz4"})
        producer.produce(LOG_TOPIC, value, key, on_delivery=lambda error, _: failed.append(error) if error else None)
        if producer.flush(30) or failed:
            raise CommandError(f"garbage did not reach the log: {failed}")

    def _ask_for_rows(self, prosthesis: int) -> None:
        """Have some of its rows read again, as a repair does."""
        with psycopg.connect(**self._signals.conninfo()) as connection:  # type: ignore[arg-type]
            query = sql.SQL("SELECT event_id FROM {} WHERE prosthesis_id = %s ORDER BY event_id DESC LIMIT %s").format(EVENTS)
            ids = [str(row[0]) for row in connection.execute(query, (prosthesis, SNAPSHOT_ROWS))]
        if ids:
            ask_for_rows(self._signals, self._mapping, ids)


# -- SQL ----------------------------------------------------------------------------------------------------------------


def _events_of(operation: Operation) -> set[int]:
    return {*operation.details.get("ids", ()), *(row["event_id"] for row in operation.details.get("rows", ()))}


def _say(cursor: psycopg.Cursor[Any], of: dict[str, Any]) -> None:
    """A logical message in the WAL, which any role may write."""
    cursor.execute("SELECT pg_logical_emit_message(%s, 'app', %s)", (of["transactional"], of["content"]))


def _change_telemetry(cursor: psycopg.Cursor[Any], what: str, details: dict[str, Any]) -> None:
    match what:
        case "insert":
            _insert(cursor, details["rows"])
        case "copy":
            _copy(cursor, details["rows"])
        case "update":
            _update(cursor, EVENTS, "event_id", details["ids"], details["set"])
        case "delete":
            _delete(cursor, details["ids"])
        case "message":
            _say(cursor, details)
        case "fleeting":
            ids = [row["event_id"] for row in details["rows"]]
            _insert(cursor, details["rows"])
            _update(cursor, EVENTS, "event_id", ids, details["set"])
            _delete(cursor, ids)
        case _:
            raise ValueError(what)


def _insert(cursor: psycopg.Cursor[Any], rows: list[dict[str, Any]]) -> None:
    """One statement, several rows: all of one LSN's commit."""
    one = sql.SQL("({})").format(sql.SQL(", ").join(sql.Placeholder() * len(COLUMNS)))
    statement = sql.SQL("INSERT INTO {} ({}) VALUES {} ON CONFLICT DO NOTHING").format(EVENTS, NAMES, sql.SQL(", ").join([one] * len(rows)))
    cursor.execute(statement, [row[name] for row in rows for name in COLUMNS])


def _copy(cursor: psycopg.Cursor[Any], rows: list[dict[str, Any]]) -> None:
    cursor.execute(sql.SQL("SELECT 1 FROM {} WHERE event_id = %s").format(EVENTS), (rows[0]["event_id"],))
    if cursor.fetchone() is not None:
        return
    with cursor.copy(COPY) as copy:
        for row in rows:
            copy.write_row([row[name] for name in COLUMNS])


def _update(cursor: psycopg.Cursor[Any], table: sql.Identifier, key: str, ids: list[int], values: dict[str, Any]) -> None:
    columns = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in values)
    cursor.execute(sql.SQL("UPDATE {} SET {} WHERE {} = ANY(%s)").format(table, columns, sql.Identifier(key)), [*values.values(), ids])


def _delete(cursor: psycopg.Cursor[Any], ids: list[int]) -> None:
    cursor.execute(sql.SQL("DELETE FROM {} WHERE event_id = ANY(%s)").format(EVENTS), (ids,))


def _change_crm(cursor: psycopg.Cursor[Any], what: str, of: dict[str, Any]) -> None:
    match what:
        case "prosthesis":
            values = (of["id"], of["model"], of["serial"])
            cursor.execute(
                "INSERT INTO crm.prostheses (prosthesis_id, model, serial_number) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", values
            )
        case "customer":
            cursor.execute(
                "INSERT INTO crm.customers (customer_id, user_id, full_name, email, timezone) VALUES (%s, %s, %s, 'c@example.org', %s)"
                " ON CONFLICT DO NOTHING",
                (of["id"], of["user_id"], of["name"], of["zone"]),
            )
        case "contract":
            cursor.execute(
                "INSERT INTO crm.contracts (contract_id, number, customer_id, prosthesis_id, starts_at, ends_at) VALUES (%s, %s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (of["id"], f"K-{of['id']}", of["customer"], of["prosthesis"], of["begins"], of["ends"]),
            )
        case "end-contracts":
            query = (
                "UPDATE crm.contracts SET ends_at = %s WHERE prosthesis_id = %s AND starts_at < %s AND (ends_at IS NULL OR ends_at > %s)"
            )
            cursor.execute(query, (of["at"], of["prosthesis"], of["at"], of["at"]))
        case "set-customer":
            _update(cursor, sql.Identifier("crm", "customers"), "customer_id", [of["id"]], of["set"])
        case "set-prosthesis":
            _update(cursor, sql.Identifier("crm", "prostheses"), "prosthesis_id", [of["id"]], of["set"])
        case "set-contract":
            _update(cursor, sql.Identifier("crm", "contracts"), "contract_id", [of["id"]], of["set"])
        case "message":
            _say(cursor, of)
        case "drop-contract":
            cursor.execute("DELETE FROM crm.contracts WHERE contract_id = %s", (of["id"],))
        case "forget":
            cursor.execute("DELETE FROM crm.contracts WHERE customer_id = %s", (of["id"],))
            cursor.execute("DELETE FROM crm.customers WHERE customer_id = %s", (of["id"],))
        case _:
            raise ValueError(what)
