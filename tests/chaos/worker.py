"""``python -m tests.chaos.worker``: the very processor, with kill points between its effects (see armory.py)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stream_processor.__main__ import main
from stream_processor.adapters.clickhouse import ClickHouseStore
from stream_processor.adapters.generations import Situation
from stream_processor.adapters.intake import Delivery, Intake
from stream_processor.adapters.kafka_transport import BatchConsumer
from stream_processor.app import LOG_TOPIC, Processor
from stream_processor.domain.decode import DeadLetter
from stream_processor.domain.states import NO_MARK
from stream_processor.settings import ProcessorSettings
from tests.chaos.armory import Armory

FOLDER = "BIONICPRO_CHAOS_ARMORY"


class DyingStore:
    """A store that passes everything on, and knows from the order of calls which effect of a batch is at hand."""

    def __init__(self, store: ClickHouseStore, armory: Armory) -> None:
        self._store = store
        self._reach = armory.reach
        self._windows = 0  # of the recompute of the batch at hand

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def telemetry(self, *arguments: Any) -> Any:
        self._reach("recompute-between-windows" if self._windows else "recompute-begins")
        self._windows += 1
        return self._store.telemetry(*arguments)

    def write_telemetry(self, *arguments: Any) -> None:
        self._reach("before-raw")
        self._store.write_telemetry(*arguments)
        self._reach("after-raw")

    def write_reports(self, columns: Any) -> None:
        self._store.write_reports(columns)
        self._reach(self._phase("after-mart"))

    def write_states(self, states: Any) -> None:
        self._store.write_states(states)
        announced = bool((np.asarray(states.mark) == NO_MARK).all())
        self._reach(self._phase("after-announce" if announced else "after-states"))

    def write_ownership(self, documents: Any) -> None:
        self._store.write_ownership(documents)
        self._reach("after-ownership")

    def write_progress(self, progress: Any) -> None:
        self._store.write_progress(progress)
        self._windows = 0
        if any(row.topic == LOG_TOPIC for row in progress):
            self._reach("after-progress")

    def _phase(self, point: str) -> str:
        return f"recompute-{point}" if self._windows else point


class DyingIntake(Intake):
    """Deliveries whose acknowledgement is a kill point."""

    def __init__(self, limit: int, armory: Armory) -> None:
        super().__init__(limit)
        self._reach = armory.reach

    async def put(self, delivery: Delivery) -> None:
        async def acknowledge() -> None:
            self._reach("before-acknowledgement")
            await delivery.acknowledge()
            self._reach("after-acknowledgement")

        await super().put(replace(delivery, acknowledge=acknowledge))


class DyingConsumer(BatchConsumer):
    """Commits are kill points."""

    async def _commit_offsets(self, *arguments: Any, **options: Any) -> Any:
        reach = armory().reach
        reach("before-commit")
        committed = await super()._commit_offsets(*arguments, **options)
        reach("after-commit")
        return committed


class DyingProcessor(Processor):
    """The application, composed as ever."""

    def __init__(self, settings: ProcessorSettings, now: Situation) -> None:
        self._armory = armory()
        super().__init__(settings, now)

    def _faust_app(self) -> Any:
        app = super()._faust_app()
        app.transport.Consumer = DyingConsumer
        return app

    def _store(self) -> Any:
        return DyingStore(super()._store(), self._armory)

    def _make_worker(self) -> Any:
        self._intake = DyingIntake(self._settings.processor.batch_records, self._armory)
        return super()._make_worker()

    async def _on_assigned(self, *arguments: Any, **options: Any) -> None:
        self._armory.reach("assigned-before-check")
        await super()._on_assigned(*arguments, **options)
        self._armory.reach("assigned-after-check")

    async def _send_down(self, records: Sequence[tuple[str, bytes]]) -> None:
        self._armory.reach("directory-before-send")
        half = len(records) // 2
        if half:
            await super()._send_down(records[:half])
            self._armory.reach("directory-between-sends")
        await super()._send_down(records[half:])
        self._armory.reach("directory-before-acknowledgement")

    async def send_dead_letters(self, dead: Sequence[DeadLetter], topic: str = LOG_TOPIC) -> None:
        self._armory.reach("dead-letters-before-send")
        await super().send_dead_letters(dead, topic)
        self._armory.reach("dead-letters-after-send")


def armory() -> Armory:
    return Armory(Path(os.environ[FOLDER]))


if __name__ == "__main__":
    main(DyingProcessor)
