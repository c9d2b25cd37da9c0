"""Pure: how far a rebuild is, what it is filled from, and how the work is cut into portions. It is kept in ``generations.detail``, so that another run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from cli.broker import TopicPositions
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.partition_progress import PartitionProgress, misfit

Step = Literal["positions", "raw", "fold", "verify", "handover", "done"]
STEPS: tuple[Step, ...] = ("positions", "raw", "fold", "verify", "handover", "done")


class RebuildError(RuntimeError):
    """The rebuild cannot go on; the message says why and what to do. Starting it again goes on where it stopped."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is done and how far it is.

    *source*: where telemetry comes from: ``tables``, the old generation's raw, where its positions are of the log as it is now; else ``postgres``. *begins*: the first offset of
    the log that the new generation handles, by partition. *step*: the one to do next; *cursor*: the last prosthesis of it that is done.
    """

    old: int
    source: Literal["tables", "postgres"]
    begins: dict[int, int]
    step: Step = "positions"
    cursor: str = ""

    def at(self, step: Step, cursor: str = "") -> Plan:
        return msgspec.structs.replace(self, step=step, cursor=cursor)

    def is_before(self, step: Step) -> bool:
        """Whether *step* is still to be done."""
        return STEPS.index(self.step) <= STEPS.index(step)


def encode(plan: Plan) -> str:
    return msgspec.json.encode(plan).decode()


def decode(detail: str) -> Plan | None:
    """The plan noted with a generation; None where it was not made by a rebuild."""
    return msgspec.json.decode(detail, type=Plan) if detail else None


def begin(
    old: int, stored: Sequence[PartitionProgress], topics: Mapping[str, TopicPositions], source: str | None, another: str | None = None
) -> Plan:
    """The plan of a new rebuild. *stored*: the old generation's positions; *topics*: the topics as they are; *source*: the operator's choice, if any.

    *another*: why the source is not the server that the old generation was filled from, so that its positions (LSNs) order nothing; None where it is.
    Raises RebuildError where the tables were chosen and their positions are of another topic or server.
    """
    log = topics[LOG_TOPIC]
    misfit = another or next(filter(None, (misfit_of(stored, topics[name]) for name in (LOG_TOPIC, CRM_TOPIC))), None)
    if source == "tables" and misfit:
        raise RebuildError(f"generation {old} cannot be built on: {misfit}; leave --source out, or take --source postgres")
    if source == "postgres" or misfit:
        return Plan(old=old, source="postgres", begins=dict(log.ends))
    handled = {row.partition: row.handled_offset for row in stored if row.topic == LOG_TOPIC}
    return Plan(old=old, source="tables", begins={p: max(handled.get(p, -1) + 1, start) for p, start in log.starts.items()})


def misfit_of(stored: Sequence[PartitionProgress], topic: TopicPositions) -> str | None:
    """Why positions are not of *topic* as it is now; None where they are."""
    rows = [row for row in stored if row.topic == topic.topic]
    if not rows:
        return f"it has handled nothing of {topic.topic}"
    return misfit(rows, topic.topic_id, topic.ends)


def portions(counts: Sequence[tuple[str, int]], most_rows: int, most_prostheses: int) -> Iterator[list[str]]:
    """Prostheses in their order, cut so that each portion has at most *most_rows* raw rows, or is one prosthesis."""
    portion: list[str] = []
    held = 0
    for prosthesis, rows in counts:
        if portion and (held + rows > most_rows or len(portion) >= most_prostheses):
            yield portion
            portion, held = [], 0
        portion.append(prosthesis)
        held += rows
    if portion:
        yield portion
