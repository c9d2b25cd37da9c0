"""Plays the demo's devices live, at a chosen rate, until it is told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

import psycopg
import structlog
from psycopg import Connection

from service_kit.retries import BackOff
from simulator.devices import Reading
from simulator.fleet import read_fleet, renew_a_contract
from simulator.live import LiveDevices
from simulator.load_demo import COLUMNS

TICK_S = 0.2
MOST_PAUSE_S = 10.0
FLEET_EVERY_S = 30.0
REPORT_EVERY_S = 60.0
GIVE_UP_S = 300.0
MAX_PENDING = 50_000
# received_at is the server's to say.
_COLUMNS = tuple(column for column in COLUMNS if column != "received_at")
_COPY = f"COPY telemetry.telemetry_events ({', '.join(_COLUMNS)}) FROM STDIN"

Conninfo = Mapping[str, Any]
Row = tuple[Any, ...]
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Pace:
    """*rate*: readings a second over all devices. *renew_every_s*: seconds between contract renewals in the CRM; 0 for none."""

    rate: float
    renew_every_s: float = 0.0


class Every:
    """Says when *seconds* have passed since it last said so; at once the first time unless *first_at* is given. 0 seconds: never."""

    def __init__(self, seconds: float, first_at: float = 0.0) -> None:
        self._seconds = seconds
        self._next = first_at

    def due(self, now: float) -> bool:
        if not self._seconds or now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Simulator:
    """Uploads a ``LiveDevices``'s readings in short transactions. One thread; connects when needed, holds at most ``MAX_PENDING`` readings
    while PostgreSQL is away, and gives up after ``GIVE_UP_S`` seconds of that (the supervisor starts it again).

    A connection lost in the middle of a commit can upload readings twice, as real devices do: they are then separate events.
    """

    def __init__(self, crm: Conninfo, telemetry: Conninfo, pace: Pace, clock: Callable[[], datetime], rng: Random) -> None:
        self._crm = crm
        self._telemetry = telemetry
        self._rate = pace.rate
        self._clock = clock
        self._rng = rng
        self._devices = LiveDevices(rng)
        self._pending: list[Reading] = []
        self._connection: Connection[Row] | None = None
        started = time.monotonic()
        self._fleet = Every(FLEET_EVERY_S)
        self._renewal = Every(pace.renew_every_s, started + pace.renew_every_s)
        self._report = Every(REPORT_EVERY_S)
        self.uploaded = 0

    def run(self, stop: threading.Event) -> None:
        """Until *stop* is set; then uploads what devices still hold. Raises psycopg.OperationalError after ``GIVE_UP_S`` seconds without a database."""
        last = time.monotonic()
        pause, back_off = TICK_S, BackOff(first_s=2 * TICK_S, most_s=MOST_PAUSE_S)
        try:
            while not stop.wait(pause):
                began = time.monotonic()
                elapsed, last = min(began - last, 5.0), began
                try:
                    self._step(began, elapsed)
                    pause = TICK_S
                    back_off.succeeded()
                except psycopg.OperationalError as error:
                    pause = back_off.failed()
                    if back_off.failing_s() > GIVE_UP_S:
                        raise
                    log.warning(
                        "database away; readings wait on the devices",
                        waiting=len(self._pending),
                        retry_in_s=round(pause, 1),
                        error=str(error),
                    )
            self._finish()
        finally:
            self._disconnect()

    def _step(self, now: float, elapsed_s: float) -> None:
        if len(self._pending) < MAX_PENDING:
            self._pending += self._devices.tick(self._clock(), elapsed_s, self._rate)
        if self._report.due(now):
            log.info("simulating", uploaded=self.uploaded, waiting=len(self._pending), offline=len(self._devices.offline_until))
        if self._fleet.due(now):
            self._refresh_fleet()
        if self._renewal.due(now):
            self._renew()
        self._upload()

    def _finish(self) -> None:
        self._pending += self._devices.flush()
        try:
            self._upload()
        except psycopg.OperationalError as error:
            log.warning("stopped without a database; readings are lost", readings=len(self._pending), error=str(error))

    def _refresh_fleet(self) -> None:
        with psycopg.connect(**self._crm) as crm:
            self._devices.devices = read_fleet(crm, self._clock())

    def _renew(self) -> None:
        with psycopg.connect(**self._crm) as crm:
            number = renew_a_contract(crm, self._clock(), self._rng)
        log.info("contract renewed", number=number)

    def _upload(self) -> None:
        if not self._pending:
            return
        try:
            if self._connection is None:
                self._connection = psycopg.connect(**self._telemetry)
            upload(self._connection, self._pending)
            self._connection.commit()
        except psycopg.OperationalError:
            self._disconnect()
            raise
        self.uploaded += len(self._pending)
        self._pending = []

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def upload(connection: Connection[Row], readings: Sequence[Reading]) -> None:
    """COPY *readings* into telemetry_events, inside the caller's transaction; the server stamps ``received_at``."""
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for reading in readings:
            copy.write_row([getattr(reading, column) for column in _COLUMNS])
