"""A model of the sources and of the log: tables that change, the Debezium records that those changes make, and a naive recomputation of the mart.

Written from docs/metrics.md alone: it shares no code with the processor but the key module and the wire types.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from schemas.commands import Delete, Erase, Recompute, encode_command
from schemas.erasure import subject_of
from schemas.keys import partition_of
from schemas.ownership import Ownership, OwnershipDocument
from schemas.ownership import encode as encode_document

PARTITIONS = 4
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SEVERITY = {1: "info", 2: "warning", 3: "critical"}


@dataclass(frozen=True)
class LogRecord:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Any, ...] = ()


def micro(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def iso(us: int) -> str:
    return (EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Sources:
    """Telemetry rows by id, ownership by prosthesis, and everything that was said of them on the log."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, OwnershipDocument] = field(default_factory=dict)
    log: list[list[LogRecord]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    lsn: int = 1000
    last_id: int = 0
    crm_offset: int = 0
    envelopes: list[tuple[bytes, dict[str, Any]]] = field(default_factory=list)
    erased: list[Erase] = field(default_factory=list)

    # -- changes of the sources

    def insert(self, row: dict[str, Any], *, op: str = "c") -> int:
        self.last_id += 1
        full = {**BLANK, **row, "event_id": self.last_id}
        self.rows[self.last_id] = full
        self._emit(op, None, full)
        return self.last_id

    def update(self, event_id: int, changes: dict[str, Any]) -> None:
        before = self.rows[event_id]
        after = before | changes
        self.rows[event_id] = after
        if after["prosthesis_id"] == before["prosthesis_id"]:
            self._emit("u", before, after)
        else:  # as Debezium does when a key column changes: delete and create, at one LSN
            self._emit("d", before, None)
            self._emit("c", None, after, same_lsn=True)

    def renumber(self, event_id: int) -> None:
        """The row gets another id, which is a part of Debezium's key: delete and create, at one LSN."""
        before = self.rows.pop(event_id)
        self.last_id += 1
        self.rows[self.last_id] = before | {"event_id": self.last_id}
        self._emit("d", before, None)
        self._emit("c", None, self.rows[self.last_id], same_lsn=True)

    def delete(self, event_id: int) -> None:
        self._emit("d", self.rows.pop(event_id), None)

    def own(self, prosthesis_id: int, intervals: list[Ownership], model: str = "Arm") -> None:
        self.crm_offset += 1
        document = OwnershipDocument(str(prosthesis_id), self.crm_offset, model, f"SN-{prosthesis_id}", tuple(intervals))
        self.documents[str(prosthesis_id)] = document
        self._append(str(prosthesis_id).encode(), encode_document(document))

    def lose(self, which: int, row: dict[str, Any]) -> None:
        """An insert, or an update within the prosthesis, that nobody is told of."""
        ids = sorted(self.rows)
        if ids and which % 2:
            self.lose_update(ids[which % len(ids)], row)
        else:
            self.lose_insert(row)

    def lose_update(self, event_id: int, row: dict[str, Any]) -> None:
        self.lsn += 10
        self.rows[event_id] |= row | {"prosthesis_id": self.rows[event_id]["prosthesis_id"]}

    def lose_insert(self, row: dict[str, Any]) -> None:
        self.lsn += 10
        self.last_id += 1
        self.rows[self.last_id] = {**BLANK, **row, "event_id": self.last_id}

    def withdraw(self, event_id: int) -> None:
        """A row goes without a record (a lost delete), and a repair's command says so."""
        key = str(self.rows.pop(event_id)["prosthesis_id"])
        self._append(
            key.encode(), encode_command(Delete(command_id="c", prosthesis_id=key, event_ids=(self.halves(event_id),), reason="test"))
        )

    # -- what only the log says

    def resend_document(self, prosthesis_id: int, stale: OwnershipDocument | None = None) -> None:
        document = stale or self.documents.get(str(prosthesis_id))
        if document is not None:
            self._append(str(prosthesis_id).encode(), encode_document(document))

    def redeliver(self, index: int) -> None:
        """A record that was sent before comes again, with a new offset."""
        if self.envelopes:
            key, envelope = self.envelopes[index % len(self.envelopes)]
            self._append(key, json.dumps(envelope).encode())

    def snapshot(self) -> None:
        """All rows once more, as a repeated initial snapshot sends them."""
        self.lsn += 10
        for row in list(self.rows.values()):
            self._emit("r", None, row, same_lsn=True)

    def incremental_snapshot(self) -> None:
        """All rows once more, as an incremental snapshot sends them: without an LSN."""
        for row in list(self.rows.values()):
            self._emit("r", None, row, lsn=None)

    def recompute(self, prosthesis_id: int) -> None:
        self._append(
            str(prosthesis_id).encode(), encode_command(Recompute(command_id="c", prosthesis_id=str(prosthesis_id), reason="test"))
        )

    def erase(self, prosthesis_id: int, begin: int, end: int, user: str = "") -> None:
        """A rule, for good: whatever was or will be recorded in the half-open time counts no more."""
        command = Erase(
            command_id=f"erasure-{len(self.erased)}",
            prosthesis_id=str(prosthesis_id),
            subject=subject_of(user),
            intervals=((begin, end),),
            issued_us=end,
            parts=1,
            customer_gone=False,
            reason="test",
        )
        self.erased.append(command)
        self._append(str(prosthesis_id).encode(), encode_command(command))

    def erase_user(self, user: str, moment: int) -> None:
        """All that is the user's up to *moment*, of every prosthesis, as the directory decides it."""
        for prosthesis, document in self.documents.items():
            for interval in document.intervals:
                if interval.user_id == user and interval.starts_us < moment:
                    self.erase(int(prosthesis), interval.starts_us, min(moment, interval.ends_us or moment), user)

    def is_erased(self, row: dict[str, Any]) -> bool:
        mine = (interval for rule in self.erased if rule.prosthesis_id == str(row["prosthesis_id"]) for interval in rule.intervals)
        return any(begin <= row["recorded_us"] < end for begin, end in mine)

    def garbage(self, prosthesis_id: int, value: bytes | None) -> None:
        self._append(str(prosthesis_id).encode(), value)

    def _emit(
        self, op: str, before: dict[str, Any] | None, after: dict[str, Any] | None, *, same_lsn: bool = False, lsn: int | None = -1
    ) -> None:
        if not same_lsn:
            self.lsn += 10
        source = {"lsn": self.lsn if lsn == -1 else lsn, "ts_ms": 1_800_000_000_000 + self.lsn, "table": "telemetry_events"}
        envelope = {"op": op, "before": self._wire(before), "after": self._wire(after), "source": source}
        row = after or before or {}
        key = str(row["prosthesis_id"]).encode()
        if lsn is not None:  # rows of an incremental snapshot are read anew, not sent again
            self.envelopes.append((key, envelope))
        self._append(key, json.dumps(envelope).encode())

    def halves(self, event_id: int) -> tuple[int, int]:
        """An event id as raw holds it."""
        return 0, event_id

    def _wire(self, row: dict[str, Any] | None) -> dict[str, Any] | None:
        return wire(row)

    def _append(self, key: bytes, value: bytes | None) -> None:
        partition = partition_of(key, PARTITIONS)
        self.log[partition].append(LogRecord(partition, len(self.log[partition]), key, value))

    # -- the naive recomputation

    def mart(self) -> dict[tuple[str, date, str], dict[str, Any]]:
        groups: dict[tuple[str, date, str], list[dict[str, Any]]] = {}
        for row in self.rows.values():
            if not valid(row) or self.is_erased(row):
                continue
            owner = self._owner(row)
            if owner is not None:
                groups.setdefault((owner.user_id, local_date(row["recorded_us"], owner.timezone), str(row["prosthesis_id"])), []).append(
                    row
                )
        return {key: self._report(key, events) for key, events in groups.items()}

    def _owner(self, row: dict[str, Any]) -> Ownership | None:
        document = self.documents.get(str(row["prosthesis_id"]))
        for interval in document.intervals if document else ():
            if interval.starts_us <= row["recorded_us"] and (interval.ends_us is None or row["recorded_us"] < interval.ends_us):
                return interval
        return None

    def _report(self, key: tuple[str, date, str], events: list[dict[str, Any]]) -> dict[str, Any]:
        document = self.documents[key[2]]
        mine = [i for i in document.intervals if i.user_id == key[0]]
        begin, end = midnight(key[1], mine[0].timezone), midnight(key[1] + timedelta(days=1), mine[0].timezone)
        contract = max((i for i in mine if i.starts_us < end and (i.ends_us is None or i.ends_us > begin)), key=lambda i: i.starts_us)
        return {
            "user_id": key[0],
            "report_date": key[1],
            "prosthesis_id": key[2],
            "customer_id": contract.customer_id,
            "customer_name": contract.customer_name,
            "timezone": contract.timezone,
            "contract_id": contract.contract_id,
            "contract_number": contract.contract_number,
            "prosthesis_model": document.model,
            "prosthesis_serial_number": document.serial_number,
            "day_starts_at": begin // 1_000_000,
            "day_ends_at": end // 1_000_000,
            **numbers(events, begin, end),
        }


BLANK: dict[str, Any] = {
    "event_id": 0,
    "prosthesis_id": 0,
    "recorded_us": 0,
    "received_us": 4_000_000_000_000_000,
    "kind": "signal",
    "amplitude_uv": None,
    "movement_recognised": None,
    "active_ms": None,
    "battery_percent": None,
    "error_code": None,
    "error_severity": None,
    "latitude": None,
    "longitude": None,
}
NEEDS = {
    "signal": ("amplitude_uv", "movement_recognised", "active_ms"),
    "battery": ("battery_percent",),
    "error": ("error_code", "error_severity"),
    "location": ("latitude", "longitude"),
}


def wire(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    times = {"recorded_at": iso(row["recorded_us"]), "received_at": iso(row["received_us"])}
    return {name: value for name, value in row.items() if not name.endswith("_us")} | times


def valid(row: dict[str, Any]) -> bool:
    battery = row["battery_percent"]
    return row["kind"] in NEEDS and all(row[name] is not None for name in NEEDS[row["kind"]]) and (battery is None or 0 <= battery <= 100)


def local_date(us: int, timezone: str) -> date:
    return (EPOCH + timedelta(microseconds=us)).astimezone(ZoneInfo(timezone)).date()


def midnight(day: date, timezone: str) -> int:
    return micro(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).astimezone(UTC))


def numbers(events: list[dict[str, Any]], begin: int, end: int) -> dict[str, Any]:
    """Every metric by the most direct reading of docs/metrics.md."""
    signals = [e for e in events if e["kind"] == "signal"]
    errors = [e for e in events if e["kind"] == "error"]
    hour = 3_600_000_000
    hours = [0] * -(-(end - begin) // hour)
    histogram = [0] * 16
    for e in signals:
        hours[(e["recorded_us"] - begin) // hour] += e["active_ms"]
        histogram[min(15, e["amplitude_uv"].bit_length())] += 1
    amplitudes = [e["amplitude_uv"] for e in signals]
    codes = [e["error_code"] for e in errors]
    places = sorted((e["recorded_us"], cell(e["latitude"]), cell(e["longitude"])) for e in events if e["kind"] == "location")
    return {
        "event_count": len(events),
        "first_event_at": min(e["recorded_us"] for e in events),
        "last_event_at": max(e["recorded_us"] for e in events),
        "usage_ms": sum(e["active_ms"] for e in signals),
        "usage_ms_by_hour": hours,
        "signal_count": len(signals),
        "recognised_count": sum(e["movement_recognised"] for e in signals),
        "amplitude_uv_sum": sum(amplitudes),
        "amplitude_uv_min": min(amplitudes, default=0),
        "amplitude_uv_max": max(amplitudes, default=0),
        "amplitude_histogram": histogram,
        **battery(events, begin, len(hours)),
        "error_count": len(errors),
        "critical_error_count": sum(e["error_severity"] == "critical" for e in errors),
        "errors_by_code": {code: codes.count(code) for code in sorted(set(codes))},
        "location_lat_cell": places[-1][1] if places else None,
        "location_lon_cell": places[-1][2] if places else None,
    }


def battery(events: list[dict[str, Any]], begin: int, hours: int) -> dict[str, Any]:
    samples = sorted((e["recorded_us"], e["battery_percent"] * 100) for e in events if e["kind"] == "battery")
    slots: dict[int, list[int]] = {}
    for at, value in samples:
        slots.setdefault((at - begin) // 3_600_000_000, []).append(value)
    drain, before = 0, None
    for slot in sorted(slots):
        first, last = slots[slot][0], slots[slot][-1]
        drain += max(0, first - last) + (max(0, before - first) if before is not None else 0)
        before = last
    values = [value for _, value in samples]
    return {
        "battery_count": len(values),
        "battery_min_bp": min(values, default=0),
        "battery_max_bp": max(values, default=0),
        "battery_first_bp": values[0] if values else 0,
        "battery_last_bp": values[-1] if values else 0,
        "battery_drain_bp": drain,
        "battery_first_bp_by_hour": [slots[hour][0] if hour in slots else -1 for hour in range(hours)],
        "battery_last_bp_by_hour": [slots[hour][-1] if hour in slots else -1 for hour in range(hours)],
    }


def cell(degrees: float) -> int:
    return round(degrees * 1_000_000) // 100_000
