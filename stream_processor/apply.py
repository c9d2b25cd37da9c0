"""Applying: the effects of a plan, in the one order that lets the process die after any of them.

The numbers are those of ``docs/architecture.md``, "The order of effects". Each effect is idempotent; whoever calls this acknowledges (8) after it has returned and the dead letters (7) are delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from schemas.partition_progress import PartitionProgress
from stream_processor.assignment import Assignment
from stream_processor.domain.log_records import Progress
from stream_processor.outcome import Outcome
from stream_processor.plan import Plan


@dataclass(frozen=True, slots=True)
class Log:
    """The topic whose positions are stored."""

    topic: str
    topic_id: str
    partitions: int


def apply(plan: Plan, assignment: Assignment, log: Log, *, first_open_day: int | None, budget: int | None) -> Outcome:
    """Carry the plan out. *budget*: how many events of recomputes may be read now, None: all; what is left stays the assignment's. Raises what the store raises."""
    store, outcome = assignment.store, plan.outcome
    if plan.rules:
        store.write_erasures(plan.rules)  # 0
    _write_raw(plan, assignment)  # 1
    _fold(plan, assignment)
    outcome.reports = assignment.reports.write(plan.appended)  # 2, 3, 4
    reached = assignment.reached(plan.progress)
    outcome.recomputed = assignment.recompute.run(plan.pending, assignment.handled, reached, first_open_day, budget)  # 2, 3, 4
    outcome.closed_days = sum(work.refused for work in plan.pending.values())
    _keep_unfinished(plan, assignment)
    outcome.unfinished = assignment.unfinished_partitions
    _write_ownership(plan, assignment)  # 5
    outcome.stored = _write_progress(plan.progress, assignment, log)  # 6
    return outcome


def _write_raw(plan: Plan, assignment: Assignment) -> None:
    if len(plan.raw):
        assignment.store.write_telemetry(assignment.devices.prosthesis_ids[plan.raw.device], plan.raw, plan.former)
        assignment.reports.saw_raw(plan.raw)


def _fold(plan: Plan, assignment: Assignment) -> None:
    states, fold = assignment.states, plan.fold
    states.folds.fold(fold.rows, fold.events)
    np.maximum.at(states.folded_to, fold.touched, fold.touched_to)


def _keep_unfinished(plan: Plan, assignment: Assignment) -> None:
    for work in plan.pending.values():
        work.refused = 0
    assignment.unfinished = {device: work for device, work in plan.pending.items() if work.days}


def _write_ownership(plan: Plan, assignment: Assignment) -> None:
    """A document is stored after the recompute that it causes, so that a crash repeats it."""
    waiting = assignment.ownership | dict(plan.documents)
    done = {device: document for device, document in waiting.items() if device not in assignment.unfinished}
    if done:
        assignment.store.write_ownership(list(done.values()))
    assignment.ownership = {device: document for device, document in waiting.items() if device not in done}


def _write_progress(new: Mapping[int, Progress], assignment: Assignment, log: Log) -> dict[int, int]:
    """How far each partition is, and the source's time there, which never goes back; of an unfinished one when it is finished. Returns the offsets that were written."""
    waiting = dict(assignment.progress)
    for partition, progress in new.items():
        waiting[partition] = progress.after(waiting.get(partition))
    done = waiting.keys() - assignment.unfinished_partitions
    as_of = assignment.as_of if assignment.as_of is not None else {}
    for partition in done:
        as_of[partition] = max(as_of.get(partition, 0), waiting[partition].as_of_ms or 0)
    if done:
        rows = [PartitionProgress(log.topic, p, log.topic_id, log.partitions, waiting[p].offset, as_of[p]) for p in sorted(done)]
        assignment.store.write_progress(rows)
    assignment.progress = {partition: progress for partition, progress in waiting.items() if partition not in done}
    return {partition: waiting[partition].offset for partition in done}
