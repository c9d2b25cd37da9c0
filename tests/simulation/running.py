"""Runs schedules: the product's own code with the edges replaced, one world after another."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import NoReturn
from unittest.mock import patch

import structlog

from schemas.mapping import SourceMapping
from stream_processor import ports
from stream_processor.domain.decode import LogDecoder
from stream_processor.worker import REPORTS_AT_ONCE
from tests.simulation import machine
from tests.simulation.schedule import Schedule
from tests.simulation.world import World

REPLACED = {
    "stream_processor.ending.end": machine.end,
    "stream_processor.watchdog.end": machine.end,
    "stream_processor.standstill.end": machine.end,
    "stream_processor.app.records_before": machine.records_before,
    "stream_processor.app.identify": machine.identify,
    "stream_processor.app.membership": machine.membership,
    "stream_processor.app.serving_configuration": machine.serving_configuration,
    "stream_processor.adapters.topics.committed": machine.committed,
    "stream_processor.adapters.topics._bounds": machine.bounds,
}
# What is cut into pieces for speed or memory is cut within the few records of a schedule too.
SMALL = {
    "stream_processor.domain.decode.SLICE": 3,
    "stream_processor.reports.REPORTS_AT_ONCE": 2,
    "stream_processor.recompute.WINDOW_DAYS": 2,
    "stream_processor.recompute.WINDOW_DEVICES": 1,
}
# A schedule's seed chooses in parts of how many events raw is read.
PARTS = (1, 3, ports.TELEMETRY_AT_ONCE)


@dataclass
class Verdict:
    """How a schedule went. *error*: what is wrong, None where nothing is."""

    hash: str
    steps: int
    seconds: float
    error: Exception | None = None
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    trace: list[str] | None = None


@contextmanager
def replaced_edges() -> Iterator[None]:
    """What asks the broker or ends the process is the simulation's, and what is read from files is read once."""
    decoders: dict[int, LogDecoder] = {}
    with ExitStack() as stack:
        for name, replacement in REPLACED.items():
            stack.enter_context(patch(name, replacement))
        for name, size in SMALL.items():
            stack.enter_context(patch(name, size))
        stack.enter_context(patch.object(SourceMapping, "read", machine.mapping))
        stack.enter_context(
            patch("stream_processor.engine.LogDecoder", lambda of: decoders.get(id(of)) or decoders.setdefault(id(of), LogDecoder(of)))
        )
        stack.callback(structlog.configure, **structlog.get_config())
        structlog.configure(processors=[_unsaid], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        yield


def _unsaid(*_: object) -> NoReturn:
    """To render a traceback takes longer than a schedule."""
    raise structlog.DropEvent


def run(of: Schedule, *, keep: bool = False) -> Verdict:
    """Run one schedule, within ``replaced_edges``. *keep*: its trace."""
    began = time.process_time()
    world = World(of, keep=keep)
    error: Exception | None = None
    try:
        part = PARTS[0] if of.in_parts else Random(f"part {of.seed}").choice(PARTS)
        with (
            patch("service_kit.retries.random", Random(f"jitter {of.seed}")),
            patch("stream_processor.ports.TELEMETRY_AT_ONCE", part),
            patch("stream_processor.worker.REPORTS_AT_ONCE", 3 if of.small else REPORTS_AT_ONCE),
        ):
            world.run()
    except Exception as raised:
        error = raised
    return Verdict(world.trace_hash, world.loop.steps, time.process_time() - began, error, world.faults.met, world.trace)
