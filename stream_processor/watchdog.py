"""The watchdog: ends the worker when it is no longer what it should be, which neither Kafka nor ClickHouse tells it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import KafkaException

from stream_processor.adapters.generations import ServingConfiguration
from stream_processor.adapters.topics import TopicIdentity, require_same
from stream_processor.ending import EXIT_AGAIN, end, fatal
from stream_processor.ports import StoreUnavailable

log = structlog.get_logger()

LOOK_EVERY_S = 2.0
LOOKS_PER_IDENTITY_CHECK = 5


class Watchdog:
    """Looks whether *topics* are still the same ones (*identify*), whether the group looks after the log (*complaint* says what is wrong), and whether *serving* is still
    what ClickHouse says (*serving_now*). The functions block, and raise where nobody answers; that counts for nothing."""

    def __init__(
        self,
        topics: Sequence[TopicIdentity],
        identify: Callable[[str], TopicIdentity],
        complaint: Callable[[], str | None],
        serving: ServingConfiguration,
        serving_now: Callable[[], ServingConfiguration],
    ) -> None:
        self._topics = topics
        self._identify = identify
        self._complaint = complaint
        self._serving = serving
        self._serving_now = serving_now

    async def run(self) -> None:
        """Look until cancelled. Ends the process where another generation serves, telemetry is kept for another time, the group looks after the log no more, or a topic was made anew."""
        for look in itertools.count(1):
            await asyncio.sleep(LOOK_EVERY_S)
            if look % LOOKS_PER_IDENTITY_CHECK == 0:
                await fatal(asyncio.to_thread(self.check_identities))
                await fatal(asyncio.to_thread(self._check_group))
            try:
                now = await asyncio.to_thread(self._serving_now)
            except StoreUnavailable:
                continue  # the reports' own writes decide when to stop
            if now != self._serving:
                log.warning("the serving configuration changed: ending, to be started again", was=str(self._serving), now=str(now))
                end(EXIT_AGAIN)

    def check_identities(self) -> None:
        """Raises WrongTopic where a topic was made anew: Kafka does not tell, and its records would pass for ones that were handled before."""
        for known in self._topics:
            try:
                now = self._identify(known.topic)
            except KafkaException as error:
                log.warning("the topic cannot be asked for its identity", topic=known.topic, error=str(error))
                continue
            require_same(known, now)

    def _check_group(self) -> None:
        try:
            complaint = self._complaint()
        except (KafkaException, TimeoutError) as error:
            log.warning("the group cannot be asked for", error=str(error))
            return
        if complaint:
            log.critical("ending, to be started again", reason=complaint)
            end(EXIT_AGAIN)
