"""Carries a drift of a source out: the owner's statements, the look that has to name it, and the repair that nobody tells what came in the gap."""

from __future__ import annotations

from collections.abc import Mapping
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
        self.drift: Drift | None = None
        self.hiding = False

    def do(self, operation: Operation) -> None:
        """Raises NotYetError and psycopg's errors where it has to be tried again; AssertionError where a drift was not named, or is still named."""
        drift: Drift = operation.details["drift"]
        self.drift = drift
        match operation.what:
            case "drift":
                self.hiding = drift.hides
                if drift.loses_slot:
                    self._drop_slot(drift)
                else:
                    self._step(drift, drift.apply, {})
            case "notice":
                self._look(drift, named=drift.says is not None)
            case "meanwhile" if drift.meanwhile is not None:
                self._step(drift, drift.meanwhile, operation.details["values"])
            case "mend":
                if drift.loses_slot:
                    self._resnapshot(drift)
                else:
                    self._step(drift, drift.mend, {})
                self.hiding = False
            case "well":
                self._look(drift, named=False)
            case "repair":
                self._repair(*self._days)
            case unknown:
                raise ValueError(unknown)

    def _step(self, drift: Drift, step: Step, values: Mapping[str, Any]) -> None:
        limits: dict[str, Any] = {"connect_timeout": 5, "options": "-c statement_timeout=20000 -c lock_timeout=10000"}
        with psycopg.connect(**self._conninfo[drift.database] | limits) as connection:
            done = connection.execute(step.done.encode()).fetchone()
            if done is None or not done[0]:
                connection.execute((step.statements.format(**values) if values else step.statements).encode())

    def _drop_slot(self, drift: Drift) -> None:
        slot = self._connectors[drift.database].config["slot.name"]
        if not drop_slot(self._conninfo[drift.database] | {"connect_timeout": 5}, slot):
            raise NotYetError(f"{slot} is read")

    def _resnapshot(self, drift: Drift) -> None:
        """What ``bionicpro connectors resnapshot`` does."""
        database = self._sources.crm_db if drift.database == "crm" else self._sources.telemetry_db
        try:
            with Connect(self._connect.url, CALL_LIMIT_S, self._connect.login) as connect:
                resnapshot(
                    connect, self._connectors[drift.database], database, owner=None, deadline_s=SNAPSHOT_LIMIT_S, say=lambda _line: None
                )
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
