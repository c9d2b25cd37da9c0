"""Customers to be erased, with telemetry of their own and of others on the same prosthesis; an eraser of the test's own; and what is left where."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import psycopg
from clickhouse_driver import Client

from reconciliation.settings import ReconciliationSettings
from service_kit.settings import load
from tests.support.processor import REPOSITORY
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

# Days that no other test uses; prostheses are new ones each time, because what is erased stays erased.
FIRST = date(2001, 3, 1)
LAST = FIRST + timedelta(days=12)
TABLES = ("telemetry_events", "report_state", "ownership", "user_daily_reports")


@dataclass(frozen=True)
class Person:
    """*logins*: how many user ids the customer had before."""

    customer_id: int
    logins: int = 0

    @property
    def user_id(self) -> str:
        return str(UUID(int=(self.customer_id << 64 | 0x4000_8000_0000_0000_0000) + self.logins))

    @property
    def name(self) -> str:
        return f"Name-of-{self.customer_id}"


class ErasureCase:
    """The CRM, telemetry and ClickHouse as the test uses them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.base = 1_000_000 + secrets.randbelow(1 << 40)
        self._made = 0
        self._numbers: dict[int, int] = {}
        """Of who was renumbered, by the number before."""
        self.crm = self._connection("crm", "crm_app")
        self.telemetry = self._connection("telemetry", "telemetry_ingest")
        self.clickhouse = Client(**system.clickhouse.client("migrator"), database="bionicpro")

    def close(self) -> None:
        for connection in (self.crm, self.telemetry):
            connection.close()
        self.clickhouse.disconnect()

    def _connection(self, database: str, user: str) -> psycopg.Connection[Any]:
        return psycopg.connect(**dict[str, Any](self.system.postgres.conninfo(database, user)), autocommit=True)

    def _next(self) -> int:
        self._made += 1
        return self.base + self._made

    def person(self) -> Person:
        person = Person(self._next())
        self.crm.execute(
            "INSERT INTO crm.customers (customer_id, user_id, full_name, email, timezone) VALUES (%s, %s, %s, 'e@example.org', 'Europe/Berlin')",
            (person.customer_id, person.user_id, person.name),
        )
        return person

    def prosthesis(self) -> int:
        number = self._next()
        self.crm.execute("INSERT INTO crm.prostheses (prosthesis_id, model, serial_number) VALUES (%s, 'M', %s)", (number, f"E-{number}"))
        return number

    def contract(self, person: Person, prosthesis: int, begin: int, end: int | None = None) -> int:
        """From day *begin* to day *end* of the test's days; returns its id."""
        number = self._next()
        self.crm.execute(
            "INSERT INTO crm.contracts (contract_id, number, customer_id, prosthesis_id, starts_at, ends_at) VALUES (%s, 'K', %s, %s, %s, %s)",
            (number, person.customer_id, prosthesis, at(begin, 0), None if end is None else at(end, 0)),
        )
        return number

    def correct_owner(self, prosthesis: int, person: Person) -> None:
        """All contracts of *prosthesis* were *person*'s from the beginning."""
        self.crm.execute("UPDATE crm.contracts SET customer_id = %s WHERE prosthesis_id = %s", (person.customer_id, prosthesis))

    def give_another_login(self, person: Person) -> Person:
        """The customer is another user from now on; returns them as such."""
        changed = Person(person.customer_id, person.logins + 1)
        self.crm.execute("UPDATE crm.customers SET user_id = %s WHERE customer_id = %s", (changed.user_id, changed.customer_id))
        return changed

    def renumber(self, person: Person) -> None:
        """The customer's number changes; contracts go before and come again after, for the foreign key does not follow."""
        with self.crm.transaction():
            contracts = self.crm.execute(
                "DELETE FROM crm.contracts WHERE customer_id = %s RETURNING prosthesis_id, starts_at", (person.customer_id,)
            ).fetchall()
            number = self._next()
            self.crm.execute("UPDATE crm.customers SET customer_id = %s WHERE customer_id = %s", (number, person.customer_id))
            for prosthesis, starts_at in contracts:
                self.crm.execute(
                    "INSERT INTO crm.contracts (contract_id, number, customer_id, prosthesis_id, starts_at) VALUES (%s, 'K', %s, %s, %s)",
                    (self._next(), number, prosthesis, starts_at),
                )
        self._numbers[person.customer_id] = number

    def delete(self, person: Person) -> None:
        """As foreign keys make a CRM do it: contracts first."""
        number = self._numbers.get(person.customer_id, person.customer_id)
        self.crm.execute("DELETE FROM crm.contracts WHERE customer_id = %s", (number,))
        self.crm.execute("DELETE FROM crm.customers WHERE customer_id = %s", (number,))

    def send(self, prosthesis: int, days: Sequence[int], number: int = 20) -> list[int]:
        """*number* signals on each of *days*; returns the ids."""
        rows = [(prosthesis, at(day, 9) + timedelta(seconds=7 * i)) for day in days for i in range(number)]
        found = []
        for row in rows:
            inserted = self.telemetry.execute(
                "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, amplitude_uv, movement_recognised, active_ms)"
                " VALUES (%s, %s, 'signal', 4711, true, 1000) RETURNING event_id",
                row,
            ).fetchone()
            assert inserted is not None
            found.append(int(inserted[0]))
        return found

    def settings(self) -> ReconciliationSettings:
        with mock.patch.dict(os.environ, self.system.variables("operator")):
            return load(ReconciliationSettings)

    # -- what is left ---------------------------------------------------------------------------------------------------

    def generations(self) -> list[str]:
        return generations(self.clickhouse)

    def left_of(self, person: Person, prostheses: Sequence[int], begin: int, end: int) -> dict[str, int]:
        """Rows, whatever their version, that hold something of the person: of the user anywhere, and raw of *prostheses* from day *begin* to *end*."""
        values = {"u": person.user_id, "p": [str(p) for p in prostheses], "b": at(begin, 0).timestamp(), "e": at(end, 0).timestamp()}
        conditions = {
            "telemetry_events": "prosthesis_id IN %(p)s AND toUnixTimestamp(recorded_at) >= %(b)s AND toUnixTimestamp(recorded_at) < %(e)s",
            "report_state": "user_id = %(u)s",
            "ownership": "position(document, %(u)s) > 0",
            "user_daily_reports": "user_id = %(u)s",
        }
        counted = {
            f"{database}.{table}": self.clickhouse.execute(f"SELECT count() FROM {database}.{table} WHERE {condition}", values)[0][0]
            for database in self.generations()
            for table, condition in conditions.items()
        }
        return {name: rows for name, rows in counted.items() if rows}

    def folders_of(self, prostheses: Sequence[int]) -> set[Path]:
        """The folders on disk of the parts, active ones, that hold rows of *prostheses* now."""
        found: set[Path] = set()
        for database in self.generations():
            for table in TABLES:
                names = self.clickhouse.execute(
                    f"SELECT DISTINCT _part FROM {database}.{table} WHERE prosthesis_id IN %(p)s", {"p": [str(p) for p in prostheses]}
                )
                paths = self.clickhouse.execute(
                    "SELECT path FROM system.parts WHERE database = %(d)s AND table = %(t)s AND name IN %(n)s",
                    {"d": database, "t": table, "n": [name for (name,) in names] or [""]},
                )
                found |= {Path(path) for (path,) in paths}
        return found

    def live_reports(self, person: Person) -> list[tuple[Any, ...]]:
        """What readers see, without what changes when a report is written again."""
        rows: list[tuple[Any, ...]] = self.clickhouse.execute(
            "SELECT * EXCEPT (version) FROM bionicpro.user_daily_reports WHERE user_id = %(u)s ORDER BY report_date, prosthesis_id",
            {"u": person.user_id},
        )
        return rows

    @contextmanager
    def retired_generation(self, prostheses: Sequence[int]) -> Iterator[str]:
        """Tables that nobody works on any more, with what the serving ones have of *prostheses*; dropped at the end."""
        number = 5_000 + secrets.randbelow(1_000_000)
        database = f"bionicpro_g{number}"
        self.clickhouse.execute(f"CREATE DATABASE {database}")
        try:
            for table in (*TABLES, "partition_progress"):
                self.clickhouse.execute(f"CREATE TABLE {database}.{table} AS bionicpro_g1.{table}")
                which = "1" if table == "partition_progress" else "prosthesis_id IN %(p)s"
                self.clickhouse.execute(
                    f"INSERT INTO {database}.{table} SELECT * FROM bionicpro_g1.{table} WHERE {which}", {"p": [str(p) for p in prostheses]}
                )
            self.clickhouse.execute("INSERT INTO bionicpro.generations (generation, state) VALUES", [(number, "retired")])
            yield database
        finally:
            self.clickhouse.execute(f"DROP DATABASE {database} SYNC")


def generations(client: Client) -> list[str]:
    """The databases of all generations."""
    rows = client.execute("SELECT database FROM system.tables WHERE startsWith(database, 'bionicpro_g') AND name = 'ownership'")
    return [database for (database,) in rows]


def let_files_go(client: Client) -> None:
    """Let files of replaced parts go at once, in all generations; *client* is the migrator's."""
    for database in generations(client):
        for table in TABLES:
            client.execute(f"ALTER TABLE {database}.{table} MODIFY SETTING old_parts_lifetime = 1")


def short_waits(**settings: float) -> dict[str, str]:
    """An eraser's variables that make it quick."""
    waits = {"POLL_S": 0.3, "SETTLE_S": 2.0, "FILES_S": 1.0} | {name.upper(): value for name, value in settings.items()}
    return {f"BIONICPRO_ERASER__{name}": str(value) for name, value in waits.items()}


def at(day: int, hour: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, hour, tzinfo=UTC) + timedelta(days=day)


class EraserProcess:
    """``python -m eraser`` with the instance's account and short waits; its output goes to ``eraser.log`` in *folder*."""

    def __init__(self, system: System, folder: Path, **settings: float) -> None:
        self._variables = system.variables("eraser") | short_waits(**settings)
        self._output = folder / "eraser.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self._process is None, "it runs already"
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "eraser"], cwd=REPOSITORY, env=os.environ | self._environment(), stdout=output, stderr=output
            )

    def _environment(self) -> Mapping[str, str]:
        return self._variables

    def kill(self) -> None:
        assert self._process is not None, "it does not run"
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._process = None

    def stop(self) -> int:
        """Orderly; returns the exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        code = self._process.wait(PATIENCE_S)
        self._process = None
        return code

    def said(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")
