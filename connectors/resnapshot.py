"""Lets a connector begin anew with a snapshot: what heals a replication slot that was dropped or lost.

Without its slot a connector cannot go on from its offsets; once they are forgotten it makes the slot, reads every row, and streams again. What changed meanwhile comes with the rows;
what was *deleted* meanwhile does not, and is found by ``bionicpro repair``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from connectors import slots
from connectors.apply import Connect, ConnectError, Connector
from service_kit.settings import PostgresSettings

LOOK_S = 0.5

Say = Callable[[str], None]


def resnapshot(
    connect: Connect,
    connector: Connector,
    database: PostgresSettings,
    *,
    owner: PostgresSettings | None,
    deadline_s: float,
    say: Say,
) -> None:
    """Stop, forget, begin anew; returns when the connector streams. May be killed and repeated at any point.

    *database*: an account that may look at slots; *owner*: the connector's own, which drops the slot: needed where it is lost, or keeps what cannot be read. Raises ConnectError, psycopg.Error.
    """
    slot = connector.config["slot.name"]
    say(f"stopping connector {connector.name}")
    connect.stop(connector.name)
    found = slots.state_of(database, slot)
    if found is not None and owner is not None:
        # Nothing that it keeps is needed, and what it keeps may be what cannot be read: changes of a time in which the publication was not there.
        say(f"dropping the slot {slot}")
        slots.drop(owner, slot)
    elif found is not None and found.lost:
        raise ConnectError(f"slot {slot} is lost and has to be dropped first: give the connector's account with --source-env FILE")
    connect.forget_offsets(connector.name)
    say("its offsets are forgotten; it begins with a snapshot of every row")
    connect.resume(connector.name)
    _await_streaming(connect, connector, database, deadline_s)


def _await_streaming(connect: Connect, connector: Connector, database: PostgresSettings, deadline_s: float) -> None:
    """The slot is made before the snapshot and read after it."""
    slot, deadline = connector.config["slot.name"], time.monotonic() + deadline_s
    while (found := slots.state_of(database, slot)) is None or not found.active:
        status = connect.statuses().get(connector.name)
        if status is not None and status.failed:
            raise ConnectError(status.failure)
        if time.monotonic() > deadline:
            raise ConnectError(
                f"connector {connector.name} does not stream from {slot} after {deadline_s:.0f} s: a large snapshot takes longer (--deadline);"
                " it goes on by itself, see `bionicpro status`"
            )
        time.sleep(LOOK_S)
