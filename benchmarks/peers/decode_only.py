"""confluent-kafka and a typed msgspec decode, nothing else: how fast any Python reader of this topic can be at most."""

from __future__ import annotations

import time
from collections import Counter

import msgspec
from confluent_kafka import Consumer

from benchmarks.peers.job import done, read_plan, ready

BATCH = 10_000
SILENCE_LIMIT_S = 60.0


class Row(msgspec.Struct, gc=False):
    event_id: int
    prosthesis_id: int
    recorded_at: str
    received_at: str
    kind: str
    amplitude_uv: int | None
    movement_recognised: bool | None
    active_ms: int | None
    battery_percent: int | None
    error_code: str | None
    error_severity: str | None
    latitude: float | None
    longitude: float | None


class Source(msgspec.Struct, gc=False):
    lsn: int
    ts_ms: int


class Envelope(msgspec.Struct, gc=False):
    op: str | None = None
    after: Row | None = None
    source: Source | None = None


def main() -> None:
    plan = read_plan()
    decode = msgspec.json.Decoder(Envelope).decode
    consumer = Consumer(
        {
            **plan.kafka,
            "group.id": plan.group,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([plan.topic])
    ready()
    handled: Counter[int] = Counter()
    records = amplitude = ids = 0
    heard = time.monotonic()
    while records < plan.records and time.monotonic() < heard + SILENCE_LIMIT_S:
        messages = consumer.consume(BATCH, 0.2)
        heard = time.monotonic() if messages else heard
        for message in messages:
            records += 1
            change = decode(message.value() or b"{}")
            if (row := change.after) is not None:
                handled[message.partition() or 0] += 1
                ids += row.event_id
                amplitude += row.amplitude_uv or 0
    done(handled=handled, amplitude=amplitude, ids=ids)
    consumer.close()


if __name__ == "__main__":
    main()
