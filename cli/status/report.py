"""Pure: readings and problems as lines, and as one JSON document."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from cli.status.judge import Problem, ages, lags
from cli.status.readings import (
    ClickHouse,
    Connect,
    Database,
    DeadLetters,
    Kafka,
    NotAsked,
    Reading,
    Readings,
    Service,
    Sources,
    Unreachable,
)


def lines(readings: Readings, found: list[Problem], now: datetime) -> list[str]:
    """A line a part, then a line a problem."""
    width = max((len(part) for part in readings), default=0)
    shown = [f"{part:<{width}}  {state_of(part, reading, found):<9}  {described(reading, now)}" for part, reading in readings.items()]
    return shown + [""] + ([str(problem) for problem in found] or ["all is well"])


def document(readings: Readings, found: list[Problem], now: datetime, version: str) -> dict[str, Any]:
    """``ok``, ``problems``, ``parts`` by name; ``lag`` in records and ``age_s`` in seconds by topic and partition; ``slots``, ``dead_letters``, ``versions``."""
    kafka, clickhouse, dead = (readings.get(part) for part in ("kafka", "clickhouse", "dead-letters"))
    return {
        "ok": not found,
        "checked_at": now.isoformat(),
        "problems": [asdict(problem) for problem in found],
        "parts": {
            part: {"state": state_of(part, reading, found), "text": described(reading, now)} | _facts(reading)
            for part, reading in readings.items()
        },
        "lag": lags(kafka) if isinstance(kafka, Kafka) else None,
        "age_s": ages(clickhouse, now) if isinstance(clickhouse, ClickHouse) else None,
        "slots": {r.slot_name: asdict(r.slot) if r.slot else None for r in readings.values() if isinstance(r, Database)},
        "dead_letters": asdict(dead) if isinstance(dead, DeadLetters) else None,
        "versions": {"bionicpro": version} | _versions(readings),
    }


def state_of(part: str, reading: Reading, found: list[Problem]) -> str:
    """``down``, ``not asked``, ``problem`` or ``ok``."""
    if isinstance(reading, Unreachable):
        return "down"
    if isinstance(reading, NotAsked):
        return "not asked"
    belonging = {"freshness": "clickhouse", "redis": "bff"}
    return "problem" if any(belonging.get(problem.part, problem.part) == part for problem in found) else "ok"


def described(reading: Reading, now: datetime) -> str:
    """One line."""
    text = ""
    match reading:
        case Unreachable():
            text = f"{reading.where}: {reading.reason}"
        case NotAsked():
            text = f"{reading.variable} is not set"
        case Database():
            text = f"{reading.version}; slot {reading.slot_name}: {_slot(reading)}"
            text += f"; {sum(reading.unknown_zones.values())} customers of unknown time zones" if reading.unknown_zones else ""
        case Kafka():
            text = _kafka(reading)
        case Connect():
            text = _connect(reading)
        case ClickHouse():
            text = _clickhouse(reading, now)
        case Sources():
            text = _sources(reading, now)
        case DeadLetters():
            text = f"{reading.count}" + "".join(f", {reason}: {count}" for reason, count in reading.reasons.items())
        case Service():
            text = f"{reading.code} at {reading.where}" + "".join(f"; {name}: {state}" for name, state in reading.components.items())
    return text


def _slot(database: Database) -> str:
    slot = database.slot
    if slot is None:
        return "does not exist"
    retained = "?" if slot.retained_bytes is None else f"{slot.retained_bytes / 1024:,.0f} KiB"
    return f"{'active' if slot.active else 'inactive'}, {slot.wal_status}, {retained} retained"


def _kafka(kafka: Kafka) -> str:
    waiting = ", ".join(f"{topic} {sum(by_partition.values())}" for topic, by_partition in lags(kafka).items()) or "unknown"
    present = len(kafka.topics.keys() & kafka.wanted.keys())
    group = f"group {kafka.group.state}, {len(kafka.group.members)} members"
    return f"{kafka.brokers} brokers, {present} of {len(kafka.wanted)} topics; {group}, lag: {waiting}"


def _connect(connect: Connect) -> str:
    states = ", ".join(f"{name} {status.connector}" for name, status in sorted(connect.connectors.items())) or "no connectors"
    return f"{connect.version}, connector {connect.plugin}; {states}"


def _clickhouse(clickhouse: ClickHouse, now: datetime) -> str:
    oldest = ", ".join(f"{topic} {max(by.values()):.1f} s" for topic, by in ages(clickhouse, now).items()) or "unknown"
    return f"{clickhouse.version}; generation {clickhouse.generation or 'none'}; data's age: {oldest}"


def _sources(sources: Sources, now: datetime) -> str:
    looked = (
        f"{source} {'arrives' if check.arrives else f'is whole up to {check.whole_at:%Y-%m-%d %H:%M:%S} UTC only'}"
        f", looked at {(now - check.checked_at).total_seconds():.0f} s ago"
        for source, check in sorted(sources.checks.items())
    )
    return "; ".join(looked) or "not looked at yet"


def _versions(readings: Readings) -> dict[str, str]:
    versions = {part: r.version for part, r in readings.items() if isinstance(r, Database | Connect | ClickHouse)}
    connect = readings.get("connect")
    return versions | ({"debezium": connect.plugin} if isinstance(connect, Connect) else {})


def _facts(reading: Reading) -> dict[str, Any]:
    """What is short enough to stand with the part; positions and progress stand in ``lag`` and ``age_s``."""
    match reading:
        case Database():
            return {"unknown_zones": dict(reading.unknown_zones)}
        case Kafka():
            return {"cluster_id": reading.cluster_id, "brokers": reading.brokers, "group": asdict(reading.group)}
        case Connect():
            return {"connectors": {name: asdict(status) for name, status in reading.connectors.items()}}
        case ClickHouse():
            return {"generation": reading.generation, "pending": list(reading.pending)}
        case Service():
            return {"code": reading.code, "components": dict(reading.components)}
        case _:
            return {}
