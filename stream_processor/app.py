"""The wiring: Faust's application with its two agents, and the parts that they and its tasks run.

``prosthesis.log`` comes a fetch at a time through ``report_agent`` into the intake, and is acknowledged by the worker (``worker.py``); ``crm.changes`` comes record by record
through ``directory_agent`` to the directory's service (``directory_service.py``); what it leads to is sent, and it is acknowledged, in the same order by two tasks beside it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import faust
import structlog
from faust.serializers.codecs import Codec
from faust.streams import Stream
from faust.types import StreamT
from faust.web import Request, Response, View
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from yarl import URL

from schemas import limits
from schemas.generations import database_of, group_of
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.mapping import SourceMapping
from service_kit.settings import KafkaSettings
from stream_processor import metrics
from stream_processor.adapters.acknowledged_table import AcknowledgedTable
from stream_processor.adapters.clickhouse import ClickHouseStore
from stream_processor.adapters.compacted_topic import records_before
from stream_processor.adapters.generations import ServingConfiguration, serving_configuration
from stream_processor.adapters.intake import Delivery, Intake
from stream_processor.adapters.kafka_transport import BatchConsumer, BatchTransport, PromptTableManager, credentials
from stream_processor.adapters.membership import Watch, membership
from stream_processor.adapters.topics import TopicIdentity, check_positions, identify, require_same
from stream_processor.directory_service import CrmRecord, Decided, DirectoryService, Sent
from stream_processor.domain.calendar import day_number
from stream_processor.domain.directory import Directory
from stream_processor.domain.log_records import DeadLetter
from stream_processor.ending import fatal, records_are_lost
from stream_processor.engine import Engine, EngineSettings
from stream_processor.outcome import Outcome
from stream_processor.output import Output
from stream_processor.settings import ProcessorSettings
from stream_processor.standstill import Standstill
from stream_processor.watchdog import Watchdog
from stream_processor.worker import Worker

log = structlog.get_logger()

DIRECTORY_TABLE = "directory"
CHECK_DEADLINE_S = 120.0  # of looking at the positions of an assignment: some requests to the broker and one to ClickHouse, each with a deadline of its own
CHANGES_IN_FLIGHT = 256  # changes of the CRM that are decided on while Kafka has not acknowledged what they led to
PRODUCER_LINGER_S = 0.005  # a first copy of a CRM makes small records by the thousand, and a request for each costs more than the wait
MESSAGES_BETWEEN = 8  # fetches that may wait between consumer and intake; each holds up to `fetch_records`


Acknowledge = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics that the worker reads, as they were when it began."""

    log: TopicIdentity
    crm: TopicIdentity

    @classmethod
    def found(cls, settings: KafkaSettings) -> Topics:
        """Ask the broker. Raises confluent_kafka.KafkaException where one does not exist or nobody answers in time."""
        return cls(identify(settings, LOG_TOPIC), identify(settings, CRM_TOPIC))


class Identity(Codec):
    """A value that is handed over as it is: a list of records is no bytes to decode."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, s: Any) -> Any:
        return s


class Processor:
    """The application. The consumer's generation is the epoch: caches and acknowledgements belong to one. Making one asks nobody anything."""

    def __init__(self, settings: ProcessorSettings, serving: ServingConfiguration, topics: Topics) -> None:
        self._settings = settings
        self._serving = serving
        self._topics = topics
        self._group = group_of(settings.processor.group, serving.generation)
        self._mapping = SourceMapping.read(settings.processor.mapping)
        self._standstill = Standstill(settings.processor.standstill_s)
        self._checked = asyncio.Event()  # whether the positions of the present assignment were looked at
        self.app = self._faust_app()
        self._table = cast(AcknowledgedTable, self.app.Table(DIRECTORY_TABLE, partitions=topics.crm.partitions))
        self._output = self._make_output()
        self._intake = self._make_intake()
        self._directory = self._make_directory()
        self._decided: asyncio.Queue[tuple[Decided, Acknowledge]] = asyncio.Queue(CHANGES_IN_FLIGHT)
        self._sent: asyncio.Queue[tuple[Sent, Acknowledge]] = asyncio.Queue(CHANGES_IN_FLIGHT)
        self._worker = self._make_worker()
        self._watchdog = self._make_watchdog()
        self._wire()

    # -- construction ---------------------------------------------------------------------------------------------------

    def _faust_app(self) -> faust.App:
        conf = self._settings.processor
        broker = f"kafka://{self._settings.kafka.bootstrap_servers.replace(',', ';kafka://')}"
        app = faust.App(
            self._group,
            broker=broker,
            broker_credentials=credentials(self._settings.kafka),
            store="memory://",
            Table=AcknowledgedTable,
            TableManager=PromptTableManager,
            datadir=str(conf.data_dir),
            version=1,
            value_serializer="json",
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=conf.instance_id or None,
            consumer_max_fetch_size=limits.PARTITION_FETCH,
            broker_max_poll_records=conf.fetch_records,
            broker_max_poll_interval=max(300.0, 2 * conf.store_deadline_s),
            broker_session_timeout=conf.session_timeout_s,
            broker_heartbeat_interval=conf.heartbeat_s,
            broker_rebalance_timeout=conf.session_timeout_s * 2,
            broker_commit_interval=0.5,
            stream_buffer_maxsize=MESSAGES_BETWEEN,
            stream_wait_empty=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_host=conf.host,
            web_bind=conf.host,
            web_port=conf.port,
            # A static member that comes back is given its former assignment, in which Faust wants to find its own URL again, wherever it runs now.
            canonical_url=f"http://{conf.instance_id}" if conf.instance_id else None,
            web_tables_enabled=False,
            producer_acks=-1,
            producer_linger=PRODUCER_LINGER_S,
            producer_compression_type="lz4",
            producer_max_request_size=limits.PROCESSOR_REQUEST,
            logging_config=None,
        )
        urls = [URL(part) for part in broker.split(";")]
        read = (LOG_TOPIC, CRM_TOPIC)
        app.transport = BatchTransport(urls, app, loop=app.loop, batched_topic=LOG_TOPIC, positioned_topics=read, lost=records_are_lost)
        return app

    def _make_store(self) -> ClickHouseStore:
        database = database_of(self._settings.clickhouse.database, self._serving.generation)
        return ClickHouseStore(self._settings.clickhouse.model_copy(update={"database": database}))

    def _make_output(self) -> Output:
        return Output(self.app, self._topics.log.partitions, self._table)

    def _make_intake(self) -> Intake:
        return Intake(self._settings.processor.batch_records)

    def _make_directory(self) -> DirectoryService:
        before = partial(records_before, self._settings.kafka, CRM_TOPIC)
        progress = self._make_store().write_progress
        return DirectoryService(Directory(self._mapping, self._table), self._topics.crm, self._output, before, progress)

    def _make_worker(self) -> Worker:
        conf, known = self._settings.processor, self._topics.log
        settings = EngineSettings(
            topic=LOG_TOPIC,
            topic_id=known.topic_id,
            partitions=known.partitions,
            cached_states=conf.cached_states,
            integer_event_ids=self._mapping.telemetry.event_id.type == "integer",
            generation=self._serving.generation,
            first_open_day=self._first_open_day,
            source_days=self._serving.retention.source_days,
        )
        return Worker(
            Engine(self._make_store(), self._mapping, settings),
            self._intake,
            self,
            lambda: self.app.consumer_generation_id,
            interval_s=conf.batch_interval_s,
            store_deadline_s=conf.store_deadline_s,
            dead_letters_per_minute=conf.dead_letters_per_minute,
            before_each=self._standstill.look,
        )

    def _first_open_day(self) -> int | None:
        day = self._serving.retention.first_open(datetime.now(UTC).date())
        return None if day is None else day_number(day)

    def _make_watchdog(self) -> Watchdog:
        kafka, clickhouse, generation = self._settings.kafka, self._settings.clickhouse, self._settings.processor.generation
        watch = Watch(partial(membership, kafka, self._group, LOG_TOPIC), self._topics.log.partitions)
        return Watchdog(
            (self._topics.log, self._topics.crm),
            partial(identify, kafka),
            lambda: watch.complaint(cast(BatchConsumer, self.app.consumer).member_id),
            self._serving,
            partial(serving_configuration, clickhouse, generation),
        )

    def _wire(self) -> None:
        app = self.app
        app.on_partitions_revoked.connect(self._on_revoked)
        app.on_partitions_assigned.connect(self._on_assigned)
        log_in = app.topic(LOG_TOPIC, key_serializer="raw", value_serializer=Identity())
        crm_in = app.topic(CRM_TOPIC, key_serializer="raw", value_serializer="raw")
        app.agent(log_in, name="report_agent")(self._report_agent)
        app.agent(crm_in, name="directory_agent")(self._directory_agent)
        app.task(self._standstill.run)
        app.task(self._run_worker)
        app.task(self._run_directory_sends)
        app.task(self._run_directory_acknowledgements)
        app.task(self._run_directory_progress)
        app.task(self._run_watchdog)
        app.page("/metrics")(_metrics_page)
        app.page("/health/live")(_live_page)

    # -- assignment -----------------------------------------------------------------------------------------------------

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        self._checked.clear()

    async def _on_assigned(self, *_: Any, **__: Any) -> None:
        """A new assignment: the positions must be of this very topic. Faust delivers meanwhile; the agents handle nothing before it is known."""
        self._checked.clear()
        await fatal(asyncio.wait_for(asyncio.to_thread(self._check_positions), CHECK_DEADLINE_S))
        self._checked.set()

    def _check_positions(self) -> None:
        kafka, store = self._settings.kafka, self._make_store()
        try:
            for known in (self._topics.log, self._topics.crm):
                now = identify(kafka, known.topic)
                require_same(known, now)
                progress = partial(store.progress, known.topic)
                of_log = known.topic == LOG_TOPIC
                begins = self._serving.begins if of_log else {}
                handled = check_positions(kafka, self._group, now, progress, progress_first=of_log, begins=begins)
                if of_log:
                    self._worker.expect(handled)
        finally:
            store.close()

    # -- agents and tasks -----------------------------------------------------------------------------------------------

    async def _report_agent(self, stream: StreamT[Any]) -> None:
        async for event in cast(Stream[Any], stream).noack().events():
            await self._checked.wait()
            self._standstill.look()
            await self._intake.put(Delivery(event.value, event.message.generation_id, partial(stream.ack, event)))

    async def _directory_agent(self, stream: StreamT[Any]) -> None:
        epoch = None
        async for event in cast(Stream[Any], stream).noack().events():
            await self._checked.wait()
            self._standstill.look()
            # What was fetched under an earlier assignment is handled too: Faust may not deliver it again, and what it says is true of its place in the log.
            if event.message.generation_id != epoch:
                await fatal(self._directory.restore(event.message.offset))
                epoch = event.message.generation_id
            decided = await fatal(self._directory.decide(CrmRecord.of(event.message)))
            await self._decided.put((decided, partial(stream.ack, event)))

    async def _run_directory_sends(self) -> None:
        """Sends what changes lead to in their order, each once the table's changelog has it."""
        while True:
            decided, acknowledge = await self._decided.get()
            await self._sent.put((await fatal(self._directory.send(decided)), acknowledge))

    async def _run_directory_acknowledgements(self) -> None:
        """Acknowledges changes in their order, each once all that it led to is in the log."""
        while True:
            sent, acknowledge = await self._sent.get()
            await fatal(self._directory.handled(sent))
            await acknowledge()

    async def _run_worker(self) -> None:
        await fatal(self._worker.run())

    async def _run_directory_progress(self) -> None:
        await fatal(self._directory.write_progress())

    async def _run_watchdog(self) -> None:
        await self._watchdog.run()

    # -- the worker's effects -------------------------------------------------------------------------------------------

    async def send_dead_letters(self, dead: Sequence[DeadLetter]) -> None:
        await self._output.send_dead_letters(dead)

    def observe(self, outcome: Outcome, seconds: float) -> None:
        if outcome.closed_days:
            log.warning("reports of closed days stay as they are: raw telemetry of them may have expired", days=outcome.closed_days)
        metrics.observe(outcome, seconds)


async def _metrics_page(_view: View, _request: Request) -> Response:
    return _view.bytes(generate_latest(), content_type=CONTENT_TYPE_LATEST.split(";")[0])


async def _live_page(view: View, _request: Request) -> Response:
    return view.json({"status": "alive", "time": int(time.time())})
