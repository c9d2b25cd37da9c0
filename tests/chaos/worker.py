"""``python -m tests.chaos.worker``: the very processor, with kill points between its effects (see armory.py)."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from schemas.keys import LOG_TOPIC
from stream_processor.__main__ import main
from stream_processor.adapters.acknowledged_table import AcknowledgedTable
from stream_processor.adapters.clickhouse import ClickHouseStore
from stream_processor.adapters.generations import ServingConfiguration
from stream_processor.adapters.intake import Delivery, Intake
from stream_processor.adapters.kafka_transport import BatchConsumer
from stream_processor.app import Processor, Topics
from stream_processor.domain.log_records import DeadLetter
from stream_processor.domain.states import NOTHING_FOLDED
from stream_processor.output import Output
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
        announced = bool((np.asarray(states.folded_to) == NOTHING_FOLDED).all())
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


class DyingOutput(Output):
    """What is sent has kill points around it and in its middle."""

    def __init__(self, app: Any, partitions: int, table: AcknowledgedTable, armory: Armory) -> None:
        super().__init__(app, partitions, table)
        self._reach = armory.reach

    async def send_down(self, records: Sequence[tuple[str, bytes]]) -> Awaitable[object]:
        self._reach("directory-before-send")
        half = len(records) // 2
        if half:
            await (await super().send_down(records[:half]))
            self._reach("directory-between-sends")
        return self._acknowledged(await super().send_down(records[half:]))

    async def _acknowledged(self, sent: Awaitable[object]) -> None:
        await sent
        self._reach("directory-before-acknowledgement")

    async def send_dead_letters(self, dead: Sequence[DeadLetter], topic: str = LOG_TOPIC) -> None:
        self._reach("dead-letters-before-send")
        await super().send_dead_letters(dead, topic)
        self._reach("dead-letters-after-send")


class DyingProcessor(Processor):
    """The application, composed as ever."""

    def __init__(self, settings: ProcessorSettings, serving: ServingConfiguration, topics: Topics) -> None:
        self._armory = armory()
        super().__init__(settings, serving, topics)

    def _faust_app(self) -> Any:
        app: Any = super()._faust_app()
        app.transport.Consumer = DyingConsumer
        return app

    def _make_store(self) -> Any:
        return DyingStore(super()._make_store(), self._armory)

    def _make_output(self) -> Output:
        return DyingOutput(self.app, self._topics.log.partitions, self._table, self._armory)

    def _make_intake(self) -> Intake:
        return DyingIntake(self._settings.processor.batch_records, self._armory)

    async def _on_assigned(self, *arguments: Any, **options: Any) -> None:
        self._armory.reach("assigned-before-check")
        await super()._on_assigned(*arguments, **options)
        self._armory.reach("assigned-after-check")


def armory() -> Armory:
    return Armory(Path(os.environ[FOLDER]))


if __name__ == "__main__":
    main(DyingProcessor)
