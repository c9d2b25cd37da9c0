"""Customers, prostheses and telemetry of a processor test's own, in a year of its own, and what became of them."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID

import psycopg
from clickhouse_driver import Client
from psycopg import sql

from cli.states import unlike
from reconciliation.settings import ReconciliationSettings
from reconciliation.verification import Verification
from reconciliation.verify import verify
from service_kit.settings import load
from tests.support.processor import until
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

# Years and ids that no other test uses, so that its rows are not compared here.
FIRST_YEAR = 2010
FIRST_ID = 930_000
IDS_PER_CASE = 100
DAYS = 6
COLUMNS = ("prosthesis_id", "recorded_at", "kind", "amplitude_uv", "movement_recognised", "active_ms", "battery_percent", "error_code",
           "error_severity", "latitude", "longitude")  # fmt: skip
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
INTO_TELEMETRY = sql.SQL("INSERT INTO telemetry.telemetry_events ({}) VALUES ({}) RETURNING event_id")

Row = tuple[Any, ...]


class Case:
    """*number* chooses the year and the ids; *prostheses* (at most 100) of them are made, without owners. *base* and *first*: other ids and another first day."""

    def __init__(self, system: System, number: int, prostheses: int = 1, *, base: int = FIRST_ID, first: date | None = None) -> None:
        self._system = system
        ids = base + IDS_PER_CASE * number
        self.prostheses = list(range(ids, ids + prostheses))
        self.first = first or date(FIRST_YEAR + number, 6, 1)
        self.last = self.first + timedelta(days=DAYS)
        self.crm = _connection(system, "crm", "crm_app")
        self.telemetry = self.telemetry_connection()
        self.auditor = Client(**system.clickhouse.client("auditor"), database="bionicpro")
        for prosthesis in self.prostheses:
            self.crm.execute(
                "INSERT INTO crm.prostheses (prosthesis_id, model, serial_number) VALUES (%s, 'M', %s) ON CONFLICT DO NOTHING",
                (prosthesis, f"P-{prosthesis}"),
            )

    def close(self) -> None:
        """Take the telemetry back, so that the tests can be run again on the same servers. A deleted customer would be erased, for good."""
        self.telemetry.execute("DELETE FROM telemetry.telemetry_events WHERE prosthesis_id = ANY(%s)", (self.prostheses,))
        self.crm.execute("DELETE FROM crm.contracts WHERE contract_id = ANY(%s)", (self.prostheses,))
        self.crm.close()
        self.telemetry.close()
        self.auditor.disconnect()

    def reconnect(self) -> None:
        """After PostgreSQL was started again."""
        self.crm.close()
        self.telemetry.close()
        self.crm, self.telemetry = _connection(self._system, "crm", "crm_app"), self.telemetry_connection()

    def telemetry_connection(self) -> psycopg.Connection[Row]:
        return _connection(self._system, "telemetry", "telemetry_ingest")

    def own(self, prosthesis: int) -> None:
        """From now on the prosthesis has had an owner all along; a customer for each, in one of several time zones."""
        self.crm.execute(
            "INSERT INTO crm.customers (customer_id, user_id, full_name, email, timezone) VALUES (%s, %s, 'P', 'p@example.org', %s)"
            " ON CONFLICT DO NOTHING",
            (prosthesis, self.user_id(prosthesis), ZONES[prosthesis % len(ZONES)]),
        )
        self.crm.execute(
            "INSERT INTO crm.contracts (contract_id, number, customer_id, prosthesis_id, starts_at) VALUES (%s, 'K', %s, %s, '2002-01-01')",
            (prosthesis, prosthesis, prosthesis),
        )

    def user_id(self, prosthesis: int) -> str:
        return str(UUID(int=prosthesis))

    def at(self, day: int, hour: int = 12) -> datetime:
        return datetime(self.first.year, self.first.month, self.first.day, hour, tzinfo=UTC) + timedelta(days=day)

    def insert(self, prosthesis: int, **columns: Any) -> int:
        """One event as a device sends it, by default an impeccable signal; returns its id."""
        signal = {"kind": "signal", "amplitude_uv": 100, "movement_recognised": True, "active_ms": 1000}
        row = {"prosthesis_id": prosthesis, "recorded_at": self.at(1)} | ({} if "kind" in columns else signal) | columns
        statement = INTO_TELEMETRY.format(sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row)))
        found = self.telemetry.execute(statement, list(row.values())).fetchone()
        assert found is not None
        return int(found[0])

    def reports(self) -> list[dict[str, Any]]:
        """Every field of the mart's rows of the case's people and days but the version, in the order of their keys."""
        users = [self.user_id(prosthesis) for prosthesis in self.prostheses]
        rows, columns = self.auditor.execute(
            "SELECT * FROM user_daily_reports WHERE user_id IN %(users)s AND report_date BETWEEN %(first)s AND %(last)s"
            " ORDER BY user_id, report_date, prosthesis_id",
            {"users": users, "first": self.first, "last": self.last},
            with_column_types=True,
        )
        names = [name for name, _ in columns]
        return [{name: value for name, value in zip(names, row, strict=True) if name != "version"} for row in rows]

    def verify(self) -> Verification:
        """The mart's rows of the case's days against PostgreSQL; waits for whatever was committed before the call."""
        with mock.patch.dict(os.environ, self._system.variables("operator")):
            settings = load(ReconciliationSettings)
        patient = settings.reconciliation.model_copy(update={"barrier_timeout_s": PATIENCE_S})
        return verify(settings.model_copy(update={"reconciliation": patient}), self.first, self.last, states=unlike)

    @contextmanager
    def loaded(self) -> Iterator[Load]:
        """The case's prostheses send without pause, until the end of the block."""
        load = Load(self)
        load.start()
        try:
            yield load
        finally:
            load.end()


def _connection(system: System, database: str, user: str) -> psycopg.Connection[Row]:
    conninfo: dict[str, Any] = dict(system.postgres.conninfo(database, user))
    return psycopg.connect(**conninfo, autocommit=True)


class Load(threading.Thread):
    """Sends as a fleet does: batches by COPY, single rows, now and then a correction and a withdrawal; out of order, over all the days."""

    BATCH = 250
    SINGLES = 10
    PAUSE_S = 0.2

    def __init__(self, case: Case) -> None:
        super().__init__(name="load")
        self._case = case
        self._random = random.Random(case.first.year)
        self._enough = threading.Event()
        self._error: BaseException | None = None
        self.rows = 0

    def run(self) -> None:
        try:
            with self._case.telemetry_connection() as connection:
                while not self._enough.wait(self.PAUSE_S):
                    self._round(connection)
        except BaseException as error:  # told by ``end`` to whoever started the thread
            self._error = error

    def end(self) -> None:
        self._enough.set()
        self.join(timeout=PATIENCE_S)
        if self._error is not None:
            raise self._error

    def wait_for(self, more: int) -> None:
        """Until *more* rows than now were sent."""
        wanted = self.rows + more
        until(lambda: self._error is not None or self.rows >= wanted, f"the load sends {more} rows")

    def _round(self, connection: psycopg.Connection[Row]) -> None:
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY telemetry.telemetry_events ({', '.join(COLUMNS)}) FROM STDIN".encode()) as copy:
                for _ in range(self.BATCH):
                    copy.write_row(self._row())
            self.rows += self.BATCH
            for _ in range(self.SINGLES):
                cursor.execute(INTO_TELEMETRY.format(sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
                                                     sql.SQL(", ").join(sql.Placeholder() * len(COLUMNS))), self._row())  # fmt: skip
                self.rows += 1
            (latest,) = cursor.fetchone() or (0,)
            cursor.execute("UPDATE telemetry.telemetry_events SET active_ms = 5 WHERE event_id = %s AND kind = 'signal'", (latest - 3,))
            cursor.execute("DELETE FROM telemetry.telemetry_events WHERE event_id = %s", (latest - self.BATCH // 2,))

    def _row(self) -> Row:
        choose = self._random
        head = (
            choose.choice(self._case.prostheses),
            self._case.at(1, 0) + timedelta(seconds=choose.randrange((DAYS - 2) * 86_400)),
        )
        return head + choose.choice(
            (
                ("signal", choose.randrange(20_000), choose.random() < 0.8, choose.randrange(5_000), None, None, None, None, None),
                ("battery", None, None, None, choose.randrange(101), None, None, None, None),
                ("error", None, None, None, None, f"E{choose.randrange(5)}", choose.choice(("info", "warning", "critical")), None, None),
                ("location", None, None, None, None, None, None, choose.uniform(-90, 90), choose.uniform(-180, 180)),
            )
        )


@contextmanager
def equal_case(
    system: System, number: int, *, prostheses: int, unowned: int = 0, prepare: Callable[[Case], None] = lambda _: None, **more: Any
) -> Iterator[Case]:
    """A case whose prostheses have owners and an event a day on four days, all of it proven equal; taken back at the end.

    *unowned*: so many of them have neither. *prepare* adds rows before the proof. *more*: of `Case`.
    """
    case = Case(system, number, prostheses, **more)
    try:
        for prosthesis in case.prostheses[: prostheses - unowned]:
            case.own(prosthesis)
            for day in range(1, 5):
                case.insert(prosthesis, recorded_at=case.at(day))
        prepare(case)
        assert case.verify().ok
        yield case
    finally:
        case.close()
