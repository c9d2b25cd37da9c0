"""Faust wiring: two agents, the directory's table, the batched transport, the worker, the web endpoint.

``prosthesis.log`` comes a fetch at a time through ``report_agent`` into the intake, and is acknowledged by the worker; ``crm.changes`` comes record by record through
``directory_agent``. Whatever is unexpected ends the process: Faust would restart a crashed agent *past* the failed record.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import faust
import structlog
from confluent_kafka import KafkaException
from faust.serializers.codecs import Codec
from faust.streams import Stream
from faust.types import StreamT
from faust.web import Request, Response, View
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from yarl import URL

from schemas import limits
from schemas.commands import encode_command
from schemas.erasure import ErasureRequest
from schemas.generations import database_of, group_of
from schemas.keys import CRM_TOPIC, DEAD_LETTER_TOPIC, LOG_TOPIC, partition_of
from schemas.mapping import SourceMapping
from schemas.ownership import encode as encode_document
from stream_processor import metrics
from stream_processor.adapters.clickhouse import ClickHouseStore
from stream_processor.adapters.crm_changes import values_before
from stream_processor.adapters.dead_letters import DeadLetterLimit, letter_of
from stream_processor.adapters.generations import Situation, situation
from stream_processor.adapters.intake import Delivery, Intake
from stream_processor.adapters.kafka_transport import BatchConsumer, BatchTransport, PromptTableManager, credentials
from stream_processor.adapters.membership import Watch, membership
from stream_processor.adapters.topics import WrongTopic, check_positions, identify
from stream_processor.domain.calendar import day_number
from stream_processor.domain.decode import DeadLetter
from stream_processor.domain.directory import CrmEnvelope, Directory, Handled, decode_crm
from stream_processor.engine import Engine, EngineSettings, Outcome
from stream_processor.poison import POISON_A_MINUTE
from stream_processor.ports import StoredProgress, StoreUnavailable
from stream_processor.settings import ProcessorSettings
from stream_processor.worker import Worker

log = structlog.get_logger()

EXIT_SOFTWARE = 70
EXIT_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: the supervisor starts it anew
EXIT_WRONG_TOPIC = 78
DIRECTORY_TABLE = "directory"
PROGRESS_EVERY_S = 0.2
LOOK_AROUND_EVERY_S = 2.0
LOOKS_AN_IDENTITY_CHECK = 5
SEND_DEADLINE_S = 30.0
MESSAGES_BETWEEN = 8  # fetches that may wait between consumer and intake; each holds up to `fetch_records`
KEY_CHANGED = "__debezium.newkey"


class Identity(Codec):
    """A value that is handed over as it is: a list of records is no bytes to decode."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, s: Any) -> Any:
        return s


class Processor:
    """The application. The consumer's generation is the epoch: caches and acknowledgements belong to one."""

    def __init__(self, settings: ProcessorSettings, now: Situation) -> None:
        self._settings = settings
        self._situation = now
        self._group = group_of(settings.processor.group, now.generation)
        self._mapping = SourceMapping.read(settings.processor.mapping)
        self._log = identify(settings.kafka, LOG_TOPIC)
        self._crm = identify(settings.kafka, CRM_TOPIC)
        self._crm_handled: StoredProgress | None = None
        self._checked = asyncio.Event()  # whether the positions of the present assignment were looked at
        self.app = self._faust_app()
        self._intake = Intake(settings.processor.batch_records)
        self._poison_limit = DeadLetterLimit(POISON_A_MINUTE)
        self._directory = Directory(self._mapping, self.app.Table(DIRECTORY_TABLE, partitions=self._crm.partitions))
        self._log_out = self.app.topic(LOG_TOPIC, key_serializer="raw", value_serializer="raw")
        self._dead_out = self.app.topic(DEAD_LETTER_TOPIC, key_serializer="raw", value_serializer="raw")
        self._progress_store = self._store()
        self._watch = Watch(partial(membership, settings.kafka, self._group, LOG_TOPIC), self._log.partitions)
        self._worker = self._make_worker()
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
            producer_compression_type="lz4",
            producer_max_request_size=limits.PROCESSOR_REQUEST,
            logging_config=None,
        )
        urls = [URL(part) for part in broker.split(";")]
        app.transport = BatchTransport(urls, app, loop=app.loop, batched_topic=LOG_TOPIC, positioned_topics=(LOG_TOPIC, CRM_TOPIC))
        return app

    def _store(self) -> ClickHouseStore:
        database = database_of(self._settings.clickhouse.database, self._situation.generation)
        return ClickHouseStore(self._settings.clickhouse.model_copy(update={"database": database}))

    def _make_worker(self) -> Worker:
        conf = self._settings.processor
        engine_settings = EngineSettings(
            topic=LOG_TOPIC,
            topic_id=self._log.topic_id,
            partitions=self._log.partitions,
            cached_states=conf.cached_states,
            integer_event_ids=self._mapping.telemetry.event_id.type == "integer",
            generation=self._situation.generation,
            first_open_day=self._first_open_day,
            source_days=self._situation.retention.source_days,
        )
        engine = Engine(self._store(), self._mapping, engine_settings)
        return Worker(
            engine,
            self._intake,
            self,
            lambda: self.app.consumer_generation_id,
            interval_s=conf.batch_interval_s,
            store_deadline_s=conf.store_deadline_s,
            dead_letters_a_minute=conf.dead_letters_a_minute,
        )

    def _first_open_day(self) -> int | None:
        day = self._situation.retention.first_open(datetime.now(UTC).date())
        return None if day is None else day_number(day)

    def _wire(self) -> None:
        app = self.app
        app.on_partitions_revoked.connect(self._on_revoked)
        app.on_partitions_assigned.connect(self._on_assigned)
        log_in = app.topic(LOG_TOPIC, key_serializer="raw", value_serializer=Identity())
        crm_in = app.topic(CRM_TOPIC, key_serializer="raw", value_serializer="raw")
        app.agent(log_in, name="report_agent")(self._report_agent)
        app.agent(crm_in, name="directory_agent")(self._directory_agent)
        app.task(self._run_worker)
        app.task(self._run_directory)
        app.task(self._run_look_around)
        app.page("/metrics")(_metrics_page)
        app.page("/health/live")(_live_page)

    # -- assignment -----------------------------------------------------------------------------------------------------

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        self._checked.clear()

    async def _on_assigned(self, *_: Any, **__: Any) -> None:
        """A new assignment: the positions must be of this very topic. Faust delivers meanwhile; the agents handle nothing before it is known."""
        self._checked.clear()
        await _fatal(asyncio.to_thread(self._check_positions))
        self._checked.set()

    def _check_positions(self) -> None:
        kafka, group, store = self._settings.kafka, self._group, self._store()
        try:
            for known, topic in ((self._log, LOG_TOPIC), (self._crm, CRM_TOPIC)):
                now = identify(kafka, topic)
                if now != known:
                    raise WrongTopic(f"{topic} changed while the worker ran: it was {known}, it is {now}")
                check_positions(kafka, group, now, partial(store.progress, topic), progress_first=topic == LOG_TOPIC)
        finally:
            store.close()

    # -- agents ---------------------------------------------------------------------------------------------------------

    async def _report_agent(self, stream: StreamT[Any]) -> None:
        async for event in cast(Stream[Any], stream).noack().events():
            await self._checked.wait()
            await self._intake.put(Delivery(event.value, event.message.generation_id, partial(stream.ack, event)))

    async def _directory_agent(self, stream: StreamT[Any]) -> None:
        epoch = None
        async for event in cast(Stream[Any], stream).noack().events():
            await self._checked.wait()
            # What was fetched under an earlier assignment is handled too: Faust may not deliver it again, and what it says is true of its place in the log.
            if event.message.generation_id != epoch:
                await _fatal(self._restore_directory(event.message.offset))
                epoch = event.message.generation_id
            await _fatal(self._handle_crm(event))
            await stream.ack(event)

    async def _restore_directory(self, offset: int) -> None:
        self._directory.restore(await asyncio.to_thread(self._crm_rows, offset))

    def _crm_rows(self, offset: int) -> dict[str, dict[str, Any]]:
        """The directory's table as the CRM's changes before *offset* make it."""
        return self._directory.rows_after(_envelopes(values_before(self._settings.kafka, CRM_TOPIC, offset)))

    async def _handle_crm(self, event: Any) -> None:
        """Send the documents that one CRM record leads to; it is handled when Kafka has acknowledged all of them."""
        offset, value = event.message.offset, event.message.value
        ts_ms = 0
        if value is not None:
            try:
                change = decode_crm(value)
            except ValueError as error:
                await self._refuse_crm(event.message, "not-an-envelope", str(error))
            else:
                ts_ms = change.source.ts_ms if isinstance(change, CrmEnvelope) else 0
                await self._handle_change(change, event.message)
        as_of = max(ts_ms, self._crm_handled.as_of_ms if self._crm_handled else 0)
        self._crm_handled = self._crm_progress(offset, as_of)

    async def _handle_change(self, change: CrmEnvelope | ErasureRequest, message: Any) -> None:
        """A change that the directory fails at is poison: it becomes a dead letter, and the directory is made anew without it."""
        try:
            handled = self._direct(change, message)
            records = [*_documents(handled), *_erasures(handled)]
        except Exception as error:
            log.error("poison: a change of the CRM cannot be handled", offset=message.offset, error=type(error).__name__)  # noqa: TRY400
            self._poison_limit.count(1, time.monotonic())
            await self._refuse_crm(message, "poison", f"{type(error).__name__}: {error}")
            await self._restore_directory(message.offset)
            return
        if handled.error:
            await self._refuse_crm(message, handled.reason, handled.error)
        for identity, parts in {(erase.command_id, erase.parts) for erase in handled.erasures}:
            log.info("erasure", erasure_id=identity, prostheses=parts)
        await self._send_down([record for record in records if len(record[1]) <= limits.OWN_RECORD])
        for prosthesis_id, value in records:
            if len(value) > limits.OWN_RECORD:
                said = f"what it says of prosthesis {prosthesis_id} has {len(value)} bytes, {limits.OWN_RECORD} are allowed: its reports stay as they are"
                log.error("a record of the directory is too large", offset=message.offset, bytes=len(value), allowed=limits.OWN_RECORD)
                await self._refuse_crm(message, "ownership-too-large", said)

    async def _refuse_crm(self, message: Any, reason: str, error: str) -> None:
        await self.send_dead_letters([DeadLetter(_CrmRecord(message), reason, error)], CRM_TOPIC)

    def _direct(self, change: CrmEnvelope | ErasureRequest, message: Any) -> Handled:
        if isinstance(change, ErasureRequest):
            return self._directory.request(change, message.offset)
        key_changed = any(name == KEY_CHANGED for name, _ in _CrmRecord(message).headers)
        return self._directory.handle(change, message.offset, key_changed=key_changed)

    def _crm_progress(self, offset: int, as_of_ms: int) -> StoredProgress:
        return StoredProgress(CRM_TOPIC, 0, self._crm.topic_id, self._crm.partitions, offset, as_of_ms)

    async def _send_down(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Append to the log, each under its prosthesis's key; returns when Kafka has acknowledged all."""
        pending = []
        for prosthesis_id, value in records:
            key = prosthesis_id.encode()
            pending.append(await self._log_out.send(key=key, value=value, partition=partition_of(key, self._log.partitions)))
        await asyncio.wait_for(asyncio.gather(*pending), SEND_DEADLINE_S)

    async def _run_directory_progress(self) -> None:
        """Write how far the directory is, a few times a second at most. While the store is away it waits: the reports' own writes decide when to stop."""
        written: StoredProgress | None = None
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            latest = self._crm_handled
            if latest is not None and latest is not written:
                try:
                    await asyncio.to_thread(self._progress_store.write_progress, [latest])
                    written = latest
                except StoreUnavailable as error:
                    log.warning("store is away, the directory's progress waits", error=str(error))

    async def _run_look_around(self) -> None:
        """End when this worker is no longer what it should be: another generation serves, telemetry is kept for another time, or its group looks after the log no more.

        Also when a topic was made anew under it, which Kafka does not tell: until then its records pass for ones that were handled before.
        """
        for look in itertools.count(1):
            await asyncio.sleep(LOOK_AROUND_EVERY_S)
            if look % LOOKS_AN_IDENTITY_CHECK == 0:
                await _fatal(asyncio.to_thread(self._check_identities))
                await _fatal(asyncio.to_thread(self._check_group))
            try:
                now = await asyncio.to_thread(situation, self._settings.clickhouse, self._settings.processor.generation)
            except StoreUnavailable:
                continue  # the reports' own writes decide when to stop
            if now != self._situation:
                log.warning("the situation changed: ending, to be started again", was=str(self._situation), now=str(now))
                _end(EXIT_AGAIN)

    def _check_identities(self) -> None:
        for known in (self._log, self._crm):
            try:
                now = identify(self._settings.kafka, known.topic)
            except KafkaException as error:
                log.warning("the topic cannot be asked for its identity", topic=known.topic, error=str(error))
                continue
            if now != known:
                raise WrongTopic(
                    f"{known.topic} was made anew or changed while the worker ran: it was {known}, it is {now}. "
                    "A rebuild has to go on from there (`bionicpro rebuild`)"
                )

    def _check_group(self) -> None:
        try:
            complaint = self._watch.complaint(cast(BatchConsumer, self.app.consumer).member_id)
        except (KafkaException, TimeoutError) as error:
            log.warning("the group cannot be asked for", group=self._group, error=str(error))
            return
        if complaint:
            log.critical("ending, to be started again", group=self._group, reason=complaint)
            _end(EXIT_AGAIN)

    # -- the worker's effects -------------------------------------------------------------------------------------------

    async def _run_worker(self) -> None:
        await _fatal(self._worker.run())

    async def _run_directory(self) -> None:
        await _fatal(self._run_directory_progress())

    async def send_dead_letters(self, dead: Sequence[DeadLetter], topic: str = LOG_TOPIC) -> None:
        pending = []
        for item in dead:
            log.warning("dead letter", topic=topic, partition=item.record.partition, offset=item.record.offset, reason=item.reason)
            metrics.DEAD_LETTERS.labels(item.reason).inc()
            letter = letter_of(item, topic)
            pending.append(await self._dead_out.send(key=letter.key, value=letter.value, headers=letter.headers))
        await asyncio.wait_for(asyncio.gather(*pending), SEND_DEADLINE_S)

    def observe(self, outcome: Outcome, seconds: float) -> None:
        if outcome.closed_days:
            log.warning("reports of closed days stay as they are: raw telemetry of them may have expired", days=outcome.closed_days)
        metrics.observe(outcome, seconds)


class _CrmRecord:
    """A Faust message, as the dead-letter adapter wants records."""

    def __init__(self, message: Any) -> None:
        self.partition: int = message.partition
        self.offset: int = message.offset
        self.key: bytes | None = message.key
        self.value: bytes | None = message.value
        self.headers = list(message.headers.items()) if isinstance(message.headers, dict) else list(message.headers or ())


def _documents(handled: Handled) -> list[tuple[str, bytes]]:
    return [(document.prosthesis_id, encode_document(document)) for document in handled.documents]


def _erasures(handled: Handled) -> list[tuple[str, bytes]]:
    """After the documents, which no longer name the customer."""
    return [(erase.prosthesis_id, encode_command(erase)) for erase in handled.erasures]


async def _fatal(work: Awaitable[None]) -> None:
    """Await *work*; whatever it raises ends the process, for the supervisor to start it again from the last commit."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except WrongTopic as error:
        log.critical("stored positions are not of this topic", error=str(error))
        _end(EXIT_WRONG_TOPIC)
    except Exception:
        log.critical("the processor stops", exc_info=True)
        _end(EXIT_SOFTWARE)


def _envelopes(values: Iterable[bytes]) -> Iterator[CrmEnvelope]:
    """Those of *values* that are changes; what is none became a dead letter when it was handled."""
    for value in values:
        try:
            change = decode_crm(value)
        except ValueError:
            continue
        if isinstance(change, CrmEnvelope):
            yield change


def _end(code: int) -> None:
    """At once, without Faust's orderly stop, which may commit or hang."""
    sys.stderr.flush()
    os._exit(code)


async def _metrics_page(_view: View, _request: Request) -> Response:
    return _view.bytes(generate_latest(), content_type=CONTENT_TYPE_LATEST.split(";")[0])


async def _live_page(view: View, _request: Request) -> Response:
    return view.json({"status": "alive", "time": int(time.time())})
