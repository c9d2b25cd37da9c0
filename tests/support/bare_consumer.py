"""The processor's consumer without the rest of Faust, as far as a seek goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import SimpleNamespace

from faust.types import TP

from stream_processor.adapters.kafka_transport import BatchConsumer
from stream_processor.adapters.positions import Positions


class BareConsumer(BatchConsumer):
    """*topics*: those whose positions are the processor's own; *seek_to_committed*: what the client under it does and answers."""

    def __init__(self, topics: Collection[str], seek_to_committed: Callable[[], Awaitable[Mapping[TP, int | None]]]) -> None:
        self._positions = Positions()
        self._fetching = asyncio.Lock()
        self._seeks = 0
        self._sought = {}
        self._read_offset: dict[TP, int | None] = {}
        self._committed_offset: dict[TP, int | None] = {}
        self._committed = {}
        self._last_batch = None
        self._thread = SimpleNamespace(seek_to_committed=seek_to_committed)
        self.transport = SimpleNamespace(batched_topic=next(iter(topics)), positioned_topics=set(topics))
        self.log = SimpleNamespace(dev=lambda *_: None)
