"""Asks the world, each part by its own protocol and account. A probe returns what it saw or raises; ``gather`` bounds it and runs all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import psycopg
from clickhouse_driver.errors import Error as DriverError
from psycopg import sql

from cli.broker import Broker
from cli.dlq.dead_letters import by_reason
from cli.dlq.topic import DeadLetterTopic
from cli.erase.records import Records
from cli.generations import serving_group
from cli.open_transactions import open_since
from cli.status.judge import READ_TOPICS
from cli.status.readings import ClickHouse, Connect, Database, DeadLetters, Kafka, NotAsked, Reading, Service, Slot, Sources
from cli.status.settings import StatusSettings
from clickhouse.migrator import Migrator
from connectors.apply import Connect as ConnectApi
from connectors.apply import read_connectors
from connectors.checks import Checks
from schemas.generations import database_of
from schemas.mapping import SourceMapping
from schemas.topics import catalogue
from schemas.zones import is_known
from service_kit import listeners
from service_kit.clickhouse import connected
from service_kit.generations import begins
from service_kit.partition_progress import read_progress
from service_kit.settings import ClickHouseSettings, PostgresSettings
from stream_processor.settings import ProcessorSection

SAMPLE = 1000
HTTP_TIMEOUT_S = 5.0
SLOT = """
    SELECT slot_name, active, wal_status,
           CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint END
    FROM pg_replication_slots WHERE slot_name = %s
"""

Probe = Callable[[], Reading]


class StrangerError(Exception):
    """Something listens at a part's address that does not belong to the instance."""


def probes(settings: StatusSettings) -> dict[str, tuple[str, Probe]]:
    """Every part by name: where it is, and how to ask it."""
    kafka = settings.kafka.bootstrap_servers
    asked: dict[str, tuple[str, Probe]] = {
        "postgres-crm": (_server(settings.crm_db), lambda: crm(settings)),
        "postgres-telemetry": (_server(settings.telemetry_db), lambda: database(settings.telemetry_db, "bionicpro_telemetry")),
        "kafka": (kafka, lambda: read_kafka(settings)),
        "connect": (settings.connect.url, lambda: read_connect(settings)),
        "clickhouse": (f"{settings.clickhouse.host}:{settings.clickhouse.port}", lambda: read_clickhouse(settings.clickhouse)),
        "sources": (f"{settings.clickhouse.host}:{settings.clickhouse.port}", lambda: read_sources(settings.clickhouse)),
        "dead-letters": (kafka, lambda: read_dead_letters(settings)),
    }
    for name, (variable, url) in _services(settings).items():
        asked[name] = (url or "", partial(service, url) if url else partial(NotAsked, variable))
    instance = settings.status.instance
    return asked if instance is None else {part: (where, own(where, probe, instance)) for part, (where, probe) in asked.items()}


def own(where: str, probe: Probe, instance: Path) -> Probe:
    """*probe*, carried out only where what listens at *where* belongs to *instance*: another program's answer would say nothing, and it would get a password."""

    def asked() -> Reading:
        if where and listeners.listeners(port := listeners.port_of(where)):
            supervisor = listeners.supervisor_of(instance)
            if supervisor is None or not listeners.belongs(port, supervisor):
                raise StrangerError(f"another program listens there, which {instance} did not start")
        return probe()

    return asked


def _services(settings: StatusSettings) -> Mapping[str, tuple[str, str | None]]:
    """The health address of each service that has one, with the variable that tells it."""
    status, processor, keycloak = settings.status, settings.processor, settings.keycloak
    realm = f"{keycloak.base_url.rstrip('/')}/realms/{keycloak.realm}" if keycloak else None
    return {
        "processor": ("BIONICPRO_PROCESSOR__PORT", f"http://{processor.host}:{processor.port}/health/live" if processor else None),
        "reports-api": ("BIONICPRO_STATUS__REPORTS_URL", _below(status.reports_url, "/health/ready")),
        "bff": ("BIONICPRO_STATUS__BFF_URL", _below(status.bff_url, "/health/ready")),
        "keycloak": ("BIONICPRO_STATUS__KEYCLOAK_MANAGEMENT_URL", _below(status.keycloak_management_url, "/health/ready") or realm),
    }


def database(settings: PostgresSettings, slot_name: str) -> Database:
    """Any account may read pg_replication_slots; the auditor's is used so that its access is tried too."""
    with psycopg.connect(**settings.conninfo(), options="-c statement_timeout=5000") as connection:  # type: ignore[arg-type]  # keyword arguments of mixed types
        version = connection.info.parameter_status("server_version") or ""
        row = connection.execute(SLOT, (slot_name,)).fetchone()
    return Database(version.split(" ")[0], slot_name, Slot(*row) if row else None)


def crm(settings: StatusSettings) -> Database:
    """The CRM, and whose days are cut in UTC because nobody knows their time zone."""
    customers = SourceMapping.read((settings.processor or ProcessorSection()).mapping).crm.customers
    query = sql.SQL("SELECT coalesce({zone}::text, ''), count(*) FROM {table} GROUP BY 1").format(
        zone=sql.Identifier(customers.timezone), table=sql.Identifier(*customers.table.split("."))
    )
    reading = database(settings.crm_db, "bionicpro_crm")
    with psycopg.connect(**settings.crm_db.conninfo(), options="-c statement_timeout=5000") as connection:  # type: ignore[arg-type]  # keyword arguments of mixed types
        found: dict[str, int] = dict(connection.execute(query).fetchall())
    return replace(reading, unknown_zones={name: count for name, count in sorted(found.items()) if not is_known(name)})


def read_kafka(settings: StatusSettings) -> Kafka:
    broker = Broker(settings.kafka, settings.status.deadline_s / 2)
    wanted = {topic.name: topic.partitions for topic in catalogue().values()}
    cluster_id, brokers = broker.brokers()
    topics = broker.topics(wanted)
    group = _group(settings)
    committed = {name: broker.committed(group, name, topics[name].ends) for name in READ_TOPICS if name in topics}
    read = {name: topics[name] for name in READ_TOPICS if name in topics}
    undecided = open_since(settings.kafka, read, settings.status.deadline_s / 4)
    return Kafka(cluster_id, brokers, wanted, topics, broker.group(group), committed, undecided)


def _group(settings: StatusSettings) -> str:
    """The group of the generation that readers see; the first one's while ClickHouse does not tell (which is its own problem)."""
    try:
        return serving_group(settings.clickhouse, settings.group)
    except (DriverError, OSError, EOFError):
        return settings.group


def read_connect(settings: StatusSettings) -> Connect:
    wanted = read_connectors()
    classes = {connector.config["connector.class"] for connector in wanted}
    with httpx.Client(base_url=settings.connect.url, auth=settings.connect.login, timeout=HTTP_TIMEOUT_S, trust_env=False) as http:
        version = str(http.get("/").raise_for_status().json()["version"])
        plugins = http.get("/connector-plugins").raise_for_status().json()
    with ConnectApi(settings.connect.url, HTTP_TIMEOUT_S, settings.connect.login) as connect:
        statuses = connect.statuses()
    plugin = ", ".join(sorted({str(found.get("version")) for found in plugins if found.get("class") in classes}))
    return Connect(version, plugin, tuple(connector.name for connector in wanted), statuses)


def read_clickhouse(settings: ClickHouseSettings) -> ClickHouse:
    migrator = Migrator(settings)
    try:
        schema = migrator.status()
    finally:
        migrator.close()
    with connected(settings, connect_timeout=HTTP_TIMEOUT_S, send_receive_timeout=HTTP_TIMEOUT_S) as client:
        version = str(client.execute("SELECT version()")[0][0])
        rows = [] if schema.generation is None else read_progress(client, database_of(settings.database, schema.generation))
        erasures = {} if schema.pending else Records(client, settings.database).unfinished()
    return ClickHouse(
        version, tuple(schema.pending), schema.generation, tuple(rows), erasures, begins(schema.generations, schema.generation)
    )


def read_sources(settings: ClickHouseSettings) -> Sources:
    """What the watch wrote down about the sources of the generation that readers see."""
    with connected(settings, settings.database, connect_timeout=HTTP_TIMEOUT_S, send_receive_timeout=HTTP_TIMEOUT_S) as client:
        checks = Checks(client)
        return Sources(checks.last(checks.serving()))


def read_dead_letters(settings: StatusSettings) -> DeadLetters:
    topic = DeadLetterTopic(settings.kafka, settings.status.deadline_s / 2)
    try:
        count, letters = topic.newest(SAMPLE)
    finally:
        topic.close()
    return DeadLetters(count, len(letters), by_reason(letters))


def service(url: str) -> Service:
    """A health endpoint, whatever it answers; its body may name what the service needs, under ``checks`` or ``components``."""
    answer = httpx.get(url, timeout=HTTP_TIMEOUT_S, trust_env=False)
    return Service(url, answer.status_code, _components(answer))


def _components(answer: httpx.Response) -> dict[str, str]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    parts = body.get("components") or body.get("checks") if isinstance(body, dict) else None
    if isinstance(parts, list):  # as Keycloak's: [{"name", "status"}]
        return {str(part.get("name")): str(part.get("status")) for part in parts if isinstance(part, dict)}
    return {str(name): str(state) for name, state in parts.items()} if isinstance(parts, dict) else {}


def _below(url: str | None, path: str) -> str | None:
    return url.rstrip("/") + path if url else None


def _server(settings: PostgresSettings) -> str:
    return f"{settings.host}:{settings.port}/{settings.database}"
