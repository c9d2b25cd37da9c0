"""Whether changes of a source really arrive in Kafka. A connector whose producer waits for a topic says RUNNING; a mark that was written and came through is proof."""

from __future__ import annotations

import re
import secrets
import time

from connectors.apply import Connect, ConnectError, Connector
from reconciliation.barrier import BarrierError, Tail, snapshot
from service_kit.settings import KafkaSettings, PostgresSettings

LOOK_S = 1.0


def await_flow(connect: Connect, connector: Connector, database: PostgresSettings, kafka: KafkaSettings, deadline_s: float) -> None:
    """Write a mark into the source's heartbeat rows and return when it was read from every partition of the connector's topic.

    *database*: an account that may write barriers (``auditor``). Harmless, and may be repeated.
    Raises ConnectError with the whole reason: the trace of what failed meanwhile, or where the mark did not arrive; psycopg.Error, KafkaException.
    """
    topic, token, deadline = topic_of(connector), f"flow-{secrets.token_hex(8)}", time.monotonic() + deadline_s
    watch = _Watch(connect, connector.name)
    tail = Tail(kafka, topic)
    try:
        ends = tail.ends()
        with snapshot(database, heartbeats_of(connector), token):
            pass
        tail.find(token, ends, deadline, meanwhile=watch.look)
    except BarrierError as error:
        raise ConnectError(
            f"connector {connector.name} runs, but no change of its source came through within {deadline_s:.0f} s: {error}."
            " A first snapshot of a large source takes longer (--deadline), and goes on by itself; otherwise see Connect's log"
        ) from None
    finally:
        tail.close()


def topic_of(connector: Connector) -> str:
    """The one topic that the connector writes."""
    return connector.config["transforms.route.replacement"]


def heartbeats_of(connector: Connector) -> str:
    """The source's heartbeat table, as the connector's own heartbeat names it."""
    found = re.match(r"UPDATE ([\w.]+) SET ", connector.config.get("heartbeat.action.query", ""))
    if found is None:
        raise ConnectError(f"connector {connector.name} has no heartbeat.action.query that updates a heartbeat table")
    return found[1]


class _Watch:
    """Looks at the connector now and then while a mark is waited for: what failed says why it does not come."""

    def __init__(self, connect: Connect, name: str) -> None:
        self._connect = connect
        self._name = name
        self._next = 0.0

    def look(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LOOK_S
        status = self._connect.statuses().get(self._name)
        if status is not None and status.failed:
            raise ConnectError(status.failure)
