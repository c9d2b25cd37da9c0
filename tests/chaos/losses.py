"""Faults that lose data, or the room for them: what happens, what `status` calls it, and the commands that it names (docs/operations.md). Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.chaos.workload import Operation, Plan

EVERY = 2
BACKUP, LOSS, FULL_SECONDS = (0.08, 0.15), (0.4, 0.55), (8.0, 14.0)


@dataclass(frozen=True)
class Loss:
    """*what* happens to *server* (of ``lane.NAMES``), while the workers *are* running, down, or lagging.

    *says*: in the line of `status` that names it; *heals*: the commands of that line. Where there are none, it heals by itself once the server has room again.
    *stops*: workers end with 78 and stay down.
    """

    name: str
    what: Literal["expire", "restore copy", "recover", "fill"]
    server: str
    workers: Literal["running", "down", "lagging"] = "running"
    says: str = ""
    heals: tuple[str, ...] = ()
    stops: bool = False


EXPIRED, OLDER = "expired before it was read", "the tables are older than what was committed"
REBUILD = ("rebuild",)
ANOTHER_SERVER = ("connectors resnapshot crm", "connectors resnapshot telemetry", "rebuild --source postgres")

LOSSES = (
    Loss("expired-down", "expire", "kafka", "down", EXPIRED, REBUILD, stops=True),
    Loss("clickhouse-down", "restore copy", "clickhouse", "down", OLDER, REBUILD, stops=True),
    Loss("postgres-copy", "restore copy", "postgres", says="the server of telemetry went back", heals=ANOTHER_SERVER),
    Loss("disk-clickhouse", "fill", "clickhouse"),
    Loss("expired-lagging", "expire", "kafka", "lagging", EXPIRED, REBUILD, stops=True),
    Loss("clickhouse-running", "restore copy", "clickhouse", "running", OLDER, REBUILD, stops=True),
    Loss("postgres-point", "recover", "postgres", says="the server of telemetry was restored or promoted", heals=ANOTHER_SERVER),
    Loss("disk-kafka", "fill", "kafka"),
    Loss("disk-postgres", "fill", "postgres"),
)


def loss_of(seed: int, losses: Sequence[Loss] = LOSSES) -> Loss | None:
    """Every second schedule has one; they go round with the seed, so that consecutive seeds reach them all."""
    return losses[seed // EVERY % len(losses)] if losses and seed % EVERY else None


def chosen(names: str) -> tuple[Loss, ...]:
    """The losses of a list of names; of ``all`` or ``none``. Raises ValueError."""
    known = {loss.name: loss for loss in LOSSES}
    wanted = list(known) if names == "all" else [] if names == "none" else names.split(",")
    if unknown := set(wanted) - known.keys():
        raise ValueError(f"there is no loss {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    return tuple(known[name] for name in wanted)


def possible(plan: Plan, loss: Loss, seconds: float) -> list[Operation]:
    """The operations of *plan* that make sense with *loss*.

    A source that goes back has again what was deleted in it: then there is no delete command for that, and whoever was deleted is deleted there too (docs/erasure.md).
    """
    if loss.server != "postgres" or not loss.heals:
        return plan.operations
    again = [Operation(seconds, "crm", "forget", {"id": customer}) for customer in sorted(plan.gone)]
    return [operation for operation in plan.operations if operation.what != "delete-command"] + again


def loss_operations(seed: int, loss: Loss, seconds: float) -> list[Operation]:
    """What is done in the schedule of *seed*, in order: each operation is begun when the one before it is done."""
    chance = random.Random(f"loss {seed}")
    backup, at = seconds * chance.uniform(*BACKUP), seconds * chance.uniform(*LOSS)
    wanted = [(at, "lose")]
    if loss.what in {"restore copy", "recover"}:
        wanted.insert(0, (backup, "back up"))
    if loss.what == "fill":
        at += chance.uniform(*FULL_SECONDS)
        wanted += [(at, "see"), (at, "make room")]
    if loss.heals:
        wanted += [(at, "see"), (at, "heal")]
    wanted.append((at, "well"))
    return [Operation(round(when, 3), "loss", what, {}) for when, what in wanted]
