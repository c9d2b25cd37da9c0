"""Carries a drift of a source out: the owner's statements, the look that has to name it, and the repair that nobody tells what came in the gap."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import httpx
import psycopg
from clickhouse_driver.errors import Error as ClickHouseError
from confluent_kafka import KafkaException

from connectors.apply import Connect, ConnectError, Connector, read_connectors
from connectors.resnapshot import resnapshot
from connectors.watch import SourceSettings, contracts, look
from reconciliation import repair
from reconciliation.arrivals import RepairError
from reconciliation.barrier import BarrierError
from reconciliation.commands import CommandError
from reconciliation.mart import MartError
from reconciliation.settings import ReconciliationSettings
from service_kit.settings import ConnectSettings
from tests.chaos.drifts import Drift, Step
from tests.chaos.workload import Operation, Plan
from tests.support.losses import drop_slot

REPAIR_ROUNDS = 4
REPAIR_WAIT_S = 30.0
CALL_LIMIT_S, SNAPSHOT_LIMIT_S = 30.0, 90.0
LIMITS: dict[str, Any] = {"connect_timeout": 5, "options": "-c statement_timeout=20000 -c lock_timeout=10000"}
UNREACHABLE = "cannot be looked at"


class NotYetError(Exception):
    """A part of the system is away, which is no fault of what is tried: to be tried again."""


class Owner:
    """*conninfo*: keyword arguments of ``psycopg.connect`` for a superuser of each database. One thread."""

    def __init__(
        self,
        plan: Plan,
        conninfo: Mapping[str, dict[str, Any]],
        sources: SourceSettings,
        settings: ReconciliationSettings,
        connect: ConnectSettings,
    ) -> None:
        limits = settings.reconciliation.model_copy(update={"rounds": REPAIR_ROUNDS, "repair_timeout_s": REPAIR_WAIT_S})
        self._conninfo = conninfo
        self._sources = sources
        self._settings = settings.model_copy(update={"reconciliation": limits})
        self._days = tuple(day.date() for day in plan.days)
        self._contracts = contracts(sources.watch.mapping)
        self._connectors: Mapping[str, Connector] = {connector.name: connector for connector in read_connectors()}
        self._connect = connect
        self._mended_lsn: str | None = None
        self.hiding = False
        """Whether rows that are written now may never arrive."""
        self.hid = False
        """Whether there were such rows."""

    def do(self, operation: Operation) -> None:
        """Raises NotYetError and psycopg's errors where it has to be tried again; AssertionError where a drift was not named, or is still named."""
        drift: Drift = operation.details["drift"]
        match operation.what:
            case "drift":
                self.hiding, self.hid = drift.hides or drift.unreadable, drift.hides
                self._begin(drift)
            case "notice":
                self._look(drift, named=drift.says is not None)
            case "meanwhile" if drift.meanwhile is not None:
                self._step(drift, drift.meanwhile, operation.details["values"])
            case "mend":
                self._mend(drift)
                self.hiding = drift.unreadable
            case "well":
                self._look(drift, named=False)
            case "go past":
                self._go_past(drift)
                self.hiding = False
            case "repair":
                if drift.says is not None or self.hid:
                    self._repair(*self._days)
            case unknown:
                raise ValueError(unknown)

    def _begin(self, drift: Drift) -> None:
        if drift.loses_slot:
            self._drop_slot(drift)
        else:
            self._step(drift, drift.apply, {})

    def _mend(self, drift: Drift) -> None:
        if drift.loses_slot:
            self._resnapshot(drift)
        else:
            self._step(drift, drift.mend, {})

    def _step(self, drift: Drift, step: Step, values: Mapping[str, Any]) -> None:
        with psycopg.connect(**self._conninfo[drift.database] | LIMITS) as connection:
            done = connection.execute(step.done.encode()).fetchone()
            if done is None or not done[0]:
                connection.execute((step.statements.format(**values) if values else step.statements).encode())

    def _drop_slot(self, drift: Drift) -> None:
        slot = self._connectors[drift.database].config["slot.name"]
        if not drop_slot(self._conninfo[drift.database] | {"connect_timeout": 5}, slot):
            raise NotYetError(f"{slot} is read")

    def _go_past(self, drift: Drift) -> None:
        """Until the connector has read all that was written before the source was mended, or is taken past it as `status` says."""
        with psycopg.connect(**self._conninfo[drift.database] | LIMITS) as connection:
            if self._mended_lsn is None:
                ((self._mended_lsn,),) = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchall()
            query = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND confirmed_flush_lsn >= %s::pg_lsn"
            read = connection.execute(query, (self._connectors[drift.database].config["slot.name"], self._mended_lsn)).fetchone()
        with self._connect_answering() as connect:
            status = connect.statuses().get(drift.database)
        if self.hid or (status is not None and status.cannot_go_on):
            self.hid = True
            self._resnapshot(drift)
        elif read is None:
            raise NotYetError(f"the connector has not read up to {self._mended_lsn}: {status}")

    def _resnapshot(self, drift: Drift) -> None:
        """What ``bionicpro connectors resnapshot`` does."""
        database = self._sources.crm_db if drift.database == "crm" else self._sources.telemetry_db
        superuser = {name: self._conninfo[drift.database][name] for name in ("user", "password")}
        owner = database.model_validate(database.model_dump() | superuser)
        with self._connect_answering() as connect:
            resnapshot(
                connect, self._connectors[drift.database], database, owner=owner, deadline_s=SNAPSHOT_LIMIT_S, say=lambda _line: None
            )

    @contextlib.contextmanager
    def _connect_answering(self) -> Iterator[Connect]:
        """Raises NotYetError where it does not answer, or answers with an error."""
        try:
            with Connect(self._connect.url, CALL_LIMIT_S, self._connect.login) as connect:
                yield connect
        except (ConnectError, httpx.HTTPError) as error:
            raise NotYetError(str(error)) from error

    def _look(self, drift: Drift, *, named: bool) -> None:
        """What ``bionicpro connectors check`` says."""
        found = look(self._sources, self._contracts[drift.database], None).findings
        whats = [finding.what for finding in found]
        if any(UNREACHABLE in what for what in whats):
            raise NotYetError(whats)
        of_tables = [what for what in whats if "slot" not in what or drift.loses_slot]  # an idle slot is a fault of the schedule's
        if named:
            assert any(drift.says in what for what in of_tables if drift.says), f"{drift.name} was not named: {whats}"
        else:
            assert of_tables == [], f"{drift.name}: {whats}"

    def _repair(self, first: date, last: date) -> None:
        """What ``bionicpro repair`` does. Reports move meanwhile, so whether all is equal is asked at the schedule's end."""
        try:
            repair.carry_out(self._settings, repair.plan(self._settings, first, last))
        except (BarrierError, MartError, CommandError, KafkaException, ClickHouseError, EOFError, RepairError) as error:
            raise NotYetError(str(error)) from error
