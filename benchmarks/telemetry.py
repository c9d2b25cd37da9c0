"""Generated telemetry: columns that anyone can recompute from, and the bytes that Debezium writes for them.

The same arguments give the same events. All times lie in one local day of every owner's time zone, so a prosthesis has one report.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from schemas.ownership import Ownership, OwnershipDocument
from schemas.ownership import encode as encode_document

# No zone changes its clocks on this day, and 06:00 to 18:00 UTC is within one local day of each.
DAY = "2026-09-15"
FIRST_US = int(np.datetime64(f"{DAY}T06:00:00", "us").astype(np.int64))
SPAN_US = 12 * 3_600 * 1_000_000
ZONES = {"UTC": 0, "Europe/Berlin": 7_200, "America/Sao_Paulo": -10_800, "Asia/Yekaterinburg": 18_000, "Africa/Nairobi": 10_800}
KINDS = ("signal", "battery", "error", "location")
SHARES = (0.7, 0.15, 0.05, 0.1)
CODES = ("E-17", "E-03", "OVERHEAT", "PAIRING_LOST")
SEVERITIES = ("info", "warning", "critical")
FIRST_LSN = 40_000_000
LSN_STEP = 304
FIRST_TRANSACTION = 2_000
ROWS_PER_TRANSACTION = 200

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Events:
    """One element an event, in the order of commits; event ids begin at ``first_id``. ``at_us`` is ``recorded_at``.

    Every event has a value in every column; only those that its kind (an index of KINDS) carries are sent.
    """

    first_id: int
    prosthesis: Array
    at_us: Array
    kind: Array
    amplitude_uv: Array
    recognised: Array
    active_ms: Array
    battery_percent: Array
    code: Array
    severity: Array
    latitude: Array
    longitude: Array

    def __len__(self) -> int:
        return len(self.prosthesis)


def generate(events: int, prostheses: int, *, first_id: int = 1, seed: int = 1) -> Events:
    """*events* spread evenly at random over prostheses 1 … *prostheses*, out of order by up to a minute."""
    random = np.random.default_rng(seed)
    steady = FIRST_US + 120_000_000 + np.arange(events) * (SPAN_US - 240_000_000) // max(events, 1)
    return Events(
        first_id=first_id,
        prosthesis=random.integers(1, prostheses + 1, events),
        at_us=steady + random.integers(-60_000_000, 60_000_000, events),
        kind=random.choice(len(KINDS), events, p=SHARES),
        amplitude_uv=random.integers(0, 20_000, events),
        recognised=random.random(events) < 0.85,
        active_ms=random.integers(0, 4_000, events),
        battery_percent=random.integers(0, 101, events),
        code=random.integers(0, len(CODES), events),
        severity=random.integers(0, len(SEVERITIES), events),
        latitude=np.round(random.uniform(55.5, 55.9, events), 4),
        longitude=np.round(random.uniform(37.3, 37.9, events), 4),
    )


@dataclass(frozen=True)
class Owner:
    user_id: str
    timezone: str
    offset_s: int


def owner_of(prosthesis: int) -> Owner:
    zone = tuple(ZONES)[prosthesis % len(ZONES)]
    return Owner(str(UUID(int=prosthesis)), zone, ZONES[zone])


def ownership_document(prosthesis: int) -> bytes:
    """The record by which the directory says that the prosthesis has had its owner all along."""
    owner = owner_of(prosthesis)
    interval = Ownership(
        0, None, owner.user_id, str(prosthesis), f"Wearer {prosthesis}", owner.timezone, str(prosthesis), f"C-{prosthesis}"
    )
    return encode_document(OwnershipDocument(str(prosthesis), 1, "Hand X1", f"SN-{prosthesis:06}", (interval,)))


def envelopes(events: Events) -> Iterator[str]:
    """What Debezium writes for each event's INSERT with connectors/telemetry.json, in order; the shape is that of schemas/examples/."""
    recorded = np.datetime_as_string(events.at_us.astype("datetime64[us]"))
    received_us = events.at_us + 2_345_678
    received = np.datetime_as_string(received_us.astype("datetime64[us]"))
    rows = zip(
        events.prosthesis.tolist(), recorded.tolist(), received.tolist(), received_us.tolist(), _payloads(events), strict=True
    )  # fmt: skip
    for index, (prosthesis, at, got, got_us, payload) in enumerate(rows):
        event_id = events.first_id + index
        number = event_id - 1
        lsn = FIRST_LSN + number * LSN_STEP
        committed = FIRST_LSN + (number // ROWS_PER_TRANSACTION * ROWS_PER_TRANSACTION - 1) * LSN_STEP
        stamp_ms = got_us // 1000
        yield (
            f'{{"before":null,"after":{{"event_id":{event_id},"prosthesis_id":{prosthesis},"recorded_at":"{at}Z","received_at":"{got}Z",'
            f'{payload}}},"source":{{"version":"3.7.0.Final","connector":"postgresql","name":"telemetry","ts_ms":{stamp_ms},"snapshot":"false",'
            f'"db":"telemetry","sequence":"[\\"{committed}\\",\\"{lsn}\\"]","ts_us":{got_us},"ts_ns":{got_us}000,"schema":"telemetry",'
            f'"table":"telemetry_events","txId":{FIRST_TRANSACTION + number // ROWS_PER_TRANSACTION},"lsn":{lsn},"xmin":null,"origin":null,'
            f'"origin_lsn":null}},"op":"c","ts_ms":{stamp_ms + 15}}}'
        )


def _payloads(events: Events) -> Iterator[str]:
    """The columns from ``kind`` on, as JSON."""
    columns = (events.kind, events.amplitude_uv, events.recognised, events.active_ms, events.battery_percent, events.code, events.severity,
               events.latitude, events.longitude)  # fmt: skip
    for kind, amplitude, recognised, active, battery, code, severity, latitude, longitude in zip(
        *(c.tolist() for c in columns), strict=True
    ):
        if kind == 0:
            known = f"{amplitude}", "true" if recognised else "false", f"{active}", "null", "null", "null", "null", "null"
        elif kind == 1:
            known = "null", "null", "null", f"{battery}", "null", "null", "null", "null"
        elif kind == 2:
            known = "null", "null", "null", "null", f'"{CODES[code]}"', f'"{SEVERITIES[severity]}"', "null", "null"
        else:
            known = "null", "null", "null", "null", "null", "null", f"{latitude}", f"{longitude}"
        yield (
            f'"kind":"{KINDS[kind]}","amplitude_uv":{known[0]},"movement_recognised":{known[1]},"active_ms":{known[2]},'
            f'"battery_percent":{known[3]},"error_code":{known[4]},"error_severity":{known[5]},"latitude":{known[6]},"longitude":{known[7]}'
        )
