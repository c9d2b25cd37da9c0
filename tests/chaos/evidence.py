"""What a failed schedule leaves for a look: everything that was said of the prostheses that differ, and what the tables hold of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from reconciliation.mart import serving_mart
from reconciliation.settings import ReconciliationSettings
from schemas.keys import LOG_TOPIC, partition_of, prosthesis_key
from schemas.topics import log_partitions

LIMIT_S = 60.0
TABLES = ("telemetry_events", "report_state", "ownership", "user_daily_reports")


def collect(settings: ReconciliationSettings, prostheses: Iterable[str], folder: Path) -> None:
    """One file a prosthesis with the log's records under its key, one a table with its rows, old versions included."""
    folder.mkdir(parents=True, exist_ok=True)
    for prosthesis in prostheses:
        with (folder / f"log-{prosthesis}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in _log(settings, prosthesis))
        with serving_mart(settings.clickhouse) as mart:
            for table in TABLES:
                query = f"SELECT * FROM {table} WHERE prosthesis_id = %(id)s"
                rows, columns = mart.client.execute(query, {"id": prosthesis}, with_column_types=True)
                names = [name for name, _ in columns]
                with (folder / f"{table}-{prosthesis}.jsonl").open("w", encoding="utf-8") as file:
                    file.writelines(json.dumps(dict(zip(names, row, strict=True)), default=str) + "\n" for row in rows)


def _log(settings: ReconciliationSettings, prosthesis: str) -> Iterable[dict[str, Any]]:
    key = prosthesis_key(prosthesis)
    partition = partition_of(key, log_partitions())
    consumer = Consumer(settings.kafka.consumer("bionicpro-chaos-evidence") | {"enable.auto.commit": False, "enable.partition.eof": True})
    try:
        end = consumer.get_watermark_offsets(TopicPartition(LOG_TOPIC, partition), timeout=30)[1]
        consumer.assign([TopicPartition(LOG_TOPIC, partition, 0)])
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.5):
                if message.error() is not None:
                    return
                if message.key() == key:
                    yield {"partition": partition, "offset": message.offset(), "value": (message.value() or b"").decode(errors="replace")}
                if (message.offset() or 0) >= end - 1:
                    return
    finally:
        consumer.close()
