"""How far the tables of a generation are in each partition of each topic, as ClickHouse's ``partition_progress`` holds it, and whether that fits a topic.

The one place that knows the table's columns, and the one rule that says whether positions belong to a topic as it is now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

COLUMNS = ("topic", "log_partition", "topic_id", "partition_count", "handled_offset", "as_of")


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """How far one partition of the topic *topic_id* is in the tables. *as_of_ms*: commit time at the source of the latest record handled, in milliseconds since the epoch."""

    topic: str
    partition: int
    topic_id: str
    partition_count: int
    handled_offset: int
    as_of_ms: int

    @property
    def as_of(self) -> datetime:
        return datetime.fromtimestamp(self.as_of_ms / 1000, UTC)


def select_progress(table: str = "partition_progress") -> str:
    """The query whose rows ``from_row`` reads, of the topics in the parameter ``topics``. *table*: a generation's, our own identifier."""
    columns = ", ".join(COLUMNS[:-1])
    return (
        f"SELECT {columns}, toUnixTimestamp64Milli(as_of) FROM {table} FINAL"  # noqa: S608 - our own identifiers
        " WHERE topic IN %(topics)s ORDER BY topic, log_partition"
    )


def from_row(row: Sequence[Any]) -> PartitionProgress:
    """A row of ``select_progress``."""
    return PartitionProgress(*row)


def to_row(progress: PartitionProgress) -> tuple[Any, ...]:
    """The values of ``COLUMNS``."""
    return progress.topic, progress.partition, progress.topic_id, progress.partition_count, progress.handled_offset, progress.as_of


def select_handled(table: str = "partition_progress") -> str:
    """The query of the highest offset handled of each partition of the parameter ``topic``, as (partition, offset). *table*: a generation's, or the readers' view."""
    return f"SELECT log_partition, max(handled_offset) FROM {table} WHERE topic = %(topic)s GROUP BY log_partition"  # noqa: S608 - our own identifier


def misfit(rows: Iterable[PartitionProgress], topic_id: str, ends: Mapping[int, int]) -> str | None:
    """Why *rows*, the positions of one topic, do not belong to it as it is now; None where they do.

    *topic_id*: its id now; *ends*: the next offset of every partition. Going on from positions that do not fit would skip or repeat data.
    """
    for row in rows:
        if row.topic_id != topic_id:
            return f"{row.topic} was made anew (its id is {topic_id}, positions are of {row.topic_id})"
        if row.partition_count != len(ends):
            return f"{row.topic} has {len(ends)} partitions, positions are of {row.partition_count}"
        if row.handled_offset >= ends.get(row.partition, 0):
            return f"{row.topic}/{row.partition} ends at {ends.get(row.partition, 0)}, before what was handled ({row.handled_offset})"
    return None
