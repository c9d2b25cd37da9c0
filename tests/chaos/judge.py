"""After the faults: does everything come to rest, and is every number PostgreSQL's?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import date
from unittest import mock

import psycopg
from clickhouse_driver.errors import Error as ClickHouseError
from confluent_kafka import KafkaException

from cli.broker import Broker
from cli.erase.records import records
from cli.generations import serving_group
from connectors.apply import Connect
from connectors.watch import SourceSettings
from reconciliation.barrier import BarrierError
from reconciliation.consistent_snapshot import ConsistentSnapshots
from reconciliation.mart import MartError, serving_mart
from reconciliation.oracle import Oracle
from reconciliation.settings import ReconciliationSettings
from reconciliation.verification import Verification
from reconciliation.verify import verify
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.mapping import SourceMapping
from schemas.topics import log_partitions
from service_kit.settings import ConnectSettings, load
from tests.chaos.erasures import remains_of_erased

GROUP = "bionicpro-processor"
RECOVERY_LIMIT_S = 240.0
BARRIER_S = 30.0
SETTLED_LIMIT_S = 60.0
ERASED_LIMIT_S = 90.0
LOOK_S = 0.3
PASSING = (BarrierError, MartError, psycopg.Error, KafkaException, ClickHouseError, OSError, EOFError)


class StuckError(Exception):
    """Something did not come to rest in time; the message says what."""


class Judge:
    """*variables*: the operator's."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        with mock.patch.dict(os.environ, variables):
            settings = load(ReconciliationSettings)
            self.sources = load(SourceSettings)
        patient = settings.reconciliation.model_copy(update={"barrier_timeout_s": BARRIER_S})
        self.settings = settings.model_copy(update={"reconciliation": patient})
        self.connect = ConnectSettings.model_validate(
            {name: variables[f"BIONICPRO_CONNECT__{name.upper()}"] for name in ("url", "username", "password")}
        )
        self._oracle = Oracle(SourceMapping.read())

    def recovered(self) -> float:
        """Seconds until a barrier raised after the call was handled. Raises StuckError."""
        began = time.monotonic()
        while True:
            try:
                with (
                    serving_mart(self.settings.clickhouse) as mart,
                    ConsistentSnapshots(self.settings, self._oracle, mart) as snapshots,
                    snapshots.take(),
                ):
                    return time.monotonic() - began
            except PASSING as error:
                if time.monotonic() - began > RECOVERY_LIMIT_S:
                    raise StuckError(f"no barrier was handled within {RECOVERY_LIMIT_S:.0f} s: {error}") from error
                time.sleep(LOOK_S)

    def verification(self, first: date, last: date) -> Verification:
        return verify(self.settings, first, last)

    def settle(self) -> None:
        """Until all that is in the two topics now is committed, and every connector runs. Raises StuckError."""
        broker, group = Broker(self.settings.kafka), serving_group(self.settings.clickhouse, GROUP)
        wanted = {topic: positions.ends for topic, positions in broker.topics([LOG_TOPIC, CRM_TOPIC]).items()}
        for topic, ends in wanted.items():
            self._until_committed(broker, group, topic, ends)
        with Connect(self.connect.url, SETTLED_LIMIT_S, self.connect.login) as connect:
            deadline = time.monotonic() + SETTLED_LIMIT_S
            while not all(status.running for status in connect.statuses().values()):
                if time.monotonic() > deadline:
                    raise StuckError(f"connectors: {list(connect.statuses().values())}")
                time.sleep(LOOK_S)

    def erasures(self) -> int:
        """How many there are."""
        with records(self.settings.clickhouse) as found:
            return len(found.erasures())

    def erased(self, gone: Iterable[int]) -> None:
        """Until every erasure has its receipt and nothing of the customers *gone* is left. Raises StuckError."""
        deadline = time.monotonic() + ERASED_LIMIT_S
        while remains := remains_of_erased(self.settings, gone):
            if time.monotonic() > deadline:
                raise StuckError("; ".join(remains))
            time.sleep(LOOK_S)

    def _until_committed(self, broker: Broker, group: str, topic: str, ends: Mapping[int, int]) -> None:
        deadline = time.monotonic() + SETTLED_LIMIT_S
        while True:
            committed = broker.committed(group, topic, range(log_partitions() if topic == LOG_TOPIC else 1))
            # A transaction's marker takes an offset of its own: one behind the end is no lag.
            behind = {at: (committed.get(at), end) for at, end in ends.items() if committed.get(at, 0) < end - 1}
            if not behind:
                return
            if time.monotonic() > deadline:
                raise StuckError(f"{topic}: committed and wanted, by partition: {behind}")
            time.sleep(LOOK_S)
