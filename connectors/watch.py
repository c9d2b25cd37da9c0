"""``bionicpro connectors watch``: looks at both sources every few seconds, writes down what it saw, and starts failed connectors again.

A look costs a few reads of PostgreSQL's catalogue, so it is made often enough to be prompt after a schema change without being told of one. A part that
is away keeps nothing else from being looked at. Exit codes: 0 ended as told, 70 ClickHouse away beyond the deadline.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import structlog
from clickhouse_driver.errors import Error as DriverError
from pydantic import Field

from connectors.apply import Connect, ConnectError, Connector, ConnectorStatus, read_connectors
from connectors.checks import Check, Checks, next_check
from connectors.contract import SOURCES, Finding, Identity, Source, SourceContract, contract_of, findings
from connectors.generate import generate
from connectors.healing import ATTEMPTS, Healing
from connectors.observation import observe
from schemas.mapping import DEMO, SourceMapping
from service_kit.clickhouse import connected
from service_kit.settings import ClickHouseSettings, ConnectSettings, PostgresSettings, Section, ServiceSettings

log = structlog.get_logger()

EXIT_SOFTWARE = 70
CONNECT_DEADLINE_S = 5.0


class WatchSection(Section):
    """``BIONICPRO_WATCH__…``; times in seconds."""

    interval_s: float = Field(default=10.0, gt=0, le=60, description="between two looks")
    mapping: Path = DEMO
    store_deadline_s: float = Field(default=600.0, gt=0, description="how long ClickHouse may be away before the program ends")


class SourceSettings(ServiceSettings):
    """Accounts that may look at the source databases: ``watcher`` for the program, ``auditor`` for commands."""

    crm_db: PostgresSettings
    telemetry_db: PostgresSettings
    watch: WatchSection = WatchSection()


class WatchSettings(SourceSettings):
    connect: ConnectSettings = ConnectSettings()
    clickhouse: ClickHouseSettings


@dataclass(frozen=True)
class Look:
    """What was seen of one source: *identity* None where it did not answer."""

    findings: tuple[Finding, ...]
    identity: Identity | None


def contracts(mapping: Path) -> dict[Source, SourceContract]:
    """The contract of each source, by the connectors that *mapping* asks for."""
    wanted = SourceMapping.read(mapping)
    connectors: Mapping[str, Connector] = {connector.name: generate(connector, wanted) for connector in read_connectors()}
    return {source: contract_of(source, connectors[source], wanted) for source in SOURCES}


def look(settings: SourceSettings, contract: SourceContract, known: Identity | None) -> Look:
    """One look at one source; a database that does not answer is a finding."""
    database = settings.crm_db if contract.source == "crm" else settings.telemetry_db
    try:
        observed = observe(database, contract)
    except (psycopg.Error, OSError) as error:
        what = f"the database of {contract.source} cannot be looked at: {_line(error)}"
        return Look((Finding(what, "its changes wait, or do not arrive", "see whether it runs, and the account", stops=False),), None)
    return Look(tuple(findings(contract, observed, known)), observed.identity)


class Watch:
    """The looks of one program. *clock* never goes back."""

    def __init__(self, settings: WatchSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._contracts = contracts(settings.watch.mapping)
        self._healing = Healing()
        self._clock = clock
        self._said: dict[str, tuple[str, ...]] = {}

    def once(self) -> dict[str, Check]:
        """Look at everything, heal what failed, store the outcome and return it. Raises clickhouse_driver's errors and OSError where it cannot be stored."""
        failures = self._heal()
        clickhouse = self._settings.clickhouse
        with connected(clickhouse, clickhouse.database) as client:
            checks = Checks(client)
            generation = checks.serving()
            before = checks.last(generation)
            now: dict[str, Check] = {}
            for source, contract in self._contracts.items():
                last = before.get(source)
                seen = look(self._settings, contract, last.identity if last else None)
                found = (*seen.findings, *failures.get(source, ()))
                now[source] = next_check(source, generation, now=datetime.now(UTC), found=found, identity=seen.identity, before=last)
                self._say(source, found)
            checks.store(now)
        return now

    def _heal(self) -> dict[str, tuple[Finding, ...]]:
        """Start again what failed, each in its time; what is left to a person is a finding."""
        left: dict[str, tuple[Finding, ...]] = {}
        try:
            with Connect(self._settings.connect.url, CONNECT_DEADLINE_S, self._settings.connect.login) as connect:
                statuses = connect.statuses()
                for source in self._contracts:
                    if source in statuses:
                        left[source] = self._step(connect, statuses[source])
        except ConnectError as error:
            log.warning("Connect does not answer", error=_line(error))
        return left

    def _step(self, connect: Connect, status: ConnectorStatus) -> tuple[Finding, ...]:
        action = self._healing.step(status, self._clock())
        reason = next((_line_of(trace) for trace in status.traces if trace.strip()), "no trace")
        if action == "restart":
            log.warning(
                "a failed connector is started again", connector=status.name, attempt=self._healing.attempts(status.name), reason=reason
            )
            connect.restart_failed(status.name)
        if action != "given up":
            return ()
        what = f"connector {status.name} failed again after {ATTEMPTS} restarts and is left alone: {reason}"
        return (
            Finding(
                what,
                "its changes wait in PostgreSQL, which keeps them only up to a limit",
                f"mend the cause, then {status.way_out}",
            ),
        )

    def _say(self, source: str, found: tuple[Finding, ...]) -> None:
        """A line for each finding that is new, and one when all are gone."""
        whats = tuple(finding.what for finding in found)
        before = self._said.get(source, ())
        for finding in found:
            if finding.what not in before:
                log.warning("a source drifted", source=source, what=finding.what, means=finding.means, do=finding.do)
        if before and not whats:
            log.info("the source is as it should be again", source=source)
        self._said[source] = whats


def run(settings: WatchSettings, stop: threading.Event) -> int:
    """Look until *stop*; the exit code."""
    watch = Watch(settings)
    failing_since: float | None = None
    while not stop.is_set():
        try:
            watch.once()
            failing_since = None
        except (DriverError, OSError, EOFError) as error:
            failing_since = failing_since or time.monotonic()
            if time.monotonic() - failing_since > settings.watch.store_deadline_s:
                log.critical("the watch stops", error=_line(error))
                return EXIT_SOFTWARE
            log.warning("what was seen cannot be stored", error=_line(error))
        stop.wait(settings.watch.interval_s)
    return 0


def _line(error: BaseException) -> str:
    return _line_of(str(error)) or type(error).__name__


def _line_of(text: str) -> str:
    return text.strip().partition("\n")[0][:400]
