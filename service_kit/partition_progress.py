"""Reads ``partition_progress``: how far the tables of a generation are."""

from __future__ import annotations

from clickhouse_driver import Client

from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.partition_progress import PartitionProgress, from_row, select_handled, select_progress


def read_progress(client: Client, database: str, *topics: str) -> list[PartitionProgress]:
    """How far the generation *database* is in each partition of *topics* (none given: of both), in their order. Raises clickhouse_driver's errors."""
    query = select_progress(f"{database}.partition_progress")
    return [from_row(row) for row in client.execute(query, {"topics": topics or (LOG_TOPIC, CRM_TOPIC)})]


def read_handled(client: Client, topic: str, database: str) -> dict[int, int]:
    """The highest offset of *topic* handled in each partition that has any progress. *database*: a generation's, or the one that readers see. Raises clickhouse_driver's errors."""
    return dict(client.execute(select_handled(f"{database}.partition_progress"), {"topic": topic}))
