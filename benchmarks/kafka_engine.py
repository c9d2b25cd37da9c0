"""The subject ``clickhouse``: no processor at all, ClickHouse reads the log itself (sql/kafka_engine.sql)."""

from __future__ import annotations

import time
from pathlib import Path

from clickhouse_driver import Client

from benchmarks.expected import METRICS, Mart, mart_of
from benchmarks.servers import Servers
from benchmarks.telemetry import owner_of
from benchmarks.worker import SubjectFailedError
from schemas.keys import LOG_TOPIC
from service_kit.settings import ClientConfig

SQL = Path(__file__).parent / "sql" / "kafka_engine.sql"
DATABASE = "bench_engine"
UNSEEN = 4_294_967_295  # the least of nothing, until the mart is read
LOOK_S = 0.3


def prepare(client: Client, prostheses: int) -> None:
    """An empty database with the static owners."""
    client.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
    client.execute(f"CREATE DATABASE {DATABASE}")
    owners = next(iter(_statements({}, "bench")))
    client.execute(owners)
    rows = [(one, owner_of(one).user_id, owner_of(one).offset_s) for one in range(1, prostheses + 1)]
    client.execute(f"INSERT INTO {DATABASE}.owners VALUES", rows)


def run(servers: Servers, client: Client, events: int, limit_s: float) -> None:
    """Make log, raw, mart and views, and wait until *events* are in the mart. Raises SubjectFailedError at the limit."""
    for statement in _statements(servers.kafka.librdkafka(), f"bench-{time.time_ns()}")[1:]:
        client.execute(statement)
    until = time.monotonic() + limit_s
    while (seen := client.execute(f"SELECT sum(event_count) FROM {DATABASE}.mart")[0][0]) < events:
        if time.monotonic() > until:
            errors = client.execute(f"SELECT exceptions.text FROM system.kafka_consumers WHERE database = '{DATABASE}'")
            raise SubjectFailedError(f"clickhouse: {seen} of {events} events after {limit_s:.0f} s: {str(errors)[:600]}")
        time.sleep(LOOK_S)


def stop(client: Client) -> None:
    """Consume no further; the tables stay."""
    for view in ("to_raw", "to_mart", "log"):
        client.execute(f"DROP TABLE {DATABASE}.{view}")


def mart(client: Client) -> Mart:
    least = {"amplitude_uv_min", "battery_min_bp"}
    merged = {name: _merge(name) for name in METRICS}
    columns = ", ".join(f"if({merge} = {UNSEEN}, 0, {merge})" if name in least else merge for name, merge in merged.items())
    return mart_of(client.execute(f"SELECT user_id, report_date, prosthesis_id, {columns} FROM {DATABASE}.mart GROUP BY 1, 2, 3"))


def raw_rows(client: Client) -> int:
    return int(client.execute(f"SELECT count() FROM {DATABASE}.raw")[0][0])


def _merge(name: str) -> str:
    ending = name.rpartition("_")[2]
    return {"min": "min", "max": "max"}.get(
        ending, {"amplitude_uv_min": "min", "battery_min_bp": "min", "battery_max_bp": "max"}.get(name, "sum")
    ) + f"({name})"


def _statements(kafka: ClientConfig, group: str) -> list[str]:
    text = "\n".join(line.split("--")[0] for line in SQL.read_text(encoding="utf-8").splitlines())
    for name in ("bootstrap.servers", "security.protocol", "sasl.mechanisms", "sasl.username", "sasl.password"):
        text = text.replace("{" + name + "}", str(kafka.get(name, "")))
    filled = text.replace("{db}", DATABASE).replace("{topic}", LOG_TOPIC).replace("{group}", group)
    return [one.strip() for one in filled.replace("{generation}", "bionicpro_g1").split(";") if one.strip()]
