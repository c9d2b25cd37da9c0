"""Which generation readers see, asked with the operator's account, and what belongs to it."""

from __future__ import annotations

import time

from cli.broker import Broker
from clickhouse.migrator import Migrator, SchemaError
from schemas.generations import FIRST_GENERATION, changelog_of, group_of
from service_kit.generations import Generation, begins, serving
from service_kit.settings import ClickHouseSettings, KafkaSettings

LEAVING_S = 45.0  # more than a worker's session lasts (BIONICPRO_PROCESSOR__SESSION_TIMEOUT_S)
LOOK_S = 0.5


def generations(settings: ClickHouseSettings) -> list[Generation]:
    """All that were ever made, in order. Raises clickhouse_driver's errors, OSError, EOFError."""
    migrator = Migrator(settings)
    try:
        return migrator.generations()
    finally:
        migrator.close()


def serving_group(settings: ClickHouseSettings, base: str) -> str:
    """The consumer group of the workers that write what readers see. *base*: ``BIONICPRO_PROCESSOR__GROUP``."""
    return group_of(base, serving(generations(settings)) or FIRST_GENERATION)


def serving_begins(settings: ClickHouseSettings) -> dict[int, int]:
    """Where in the log the tables that readers see begin, see ``begins_of``."""
    found = generations(settings)
    return begins(found, serving(found))


def drop(migrator: Migrator, kafka: KafkaSettings, base: str, generation: int) -> None:
    """Delete a generation that readers do not see, for good: its tables, its consumer group, its directory's topic (the first one's is in the catalogue).

    A worker that has just ended stays a member of its group for as long as its session lasts: that is waited for. Raises SchemaError while workers
    write it, or where it must not be dropped. Idempotent.
    """
    migrator.require_droppable(generation)
    broker, group = Broker(kafka), group_of(base, generation)
    deadline = time.monotonic() + LEAVING_S
    while members := broker.group(group).members:
        if time.monotonic() > deadline:
            raise SchemaError(f"generation {generation} is still written, by {', '.join(members)}: stop these workers first")
        time.sleep(LOOK_S)
    migrator.drop_generation(generation)
    broker.forget_group(group)
    if generation != FIRST_GENERATION:
        broker.delete_topic(changelog_of(group))
