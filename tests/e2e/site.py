"""The demo as its wearers know it: its page, their logins, what their devices sent, by PostgreSQL's own account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from redis import Redis

from local.environments import secret_of
from local.instance import existing
from simulator.demo_data import CUSTOMERS, DemoCustomer
from tests.support.system import System

TWO_PROSTHESES = "emily.carter"
MIDDAY_H = 14.5
HALF_A_DAY_H = 12.0

_DAY = """
SELECT count(*), coalesce(sum(active_ms) FILTER (WHERE kind = 'signal'), 0), count(*) FILTER (WHERE kind = 'signal'),
       count(*) FILTER (WHERE kind = 'signal' AND movement_recognised), count(*) FILTER (WHERE kind = 'error')
FROM telemetry.telemetry_events
WHERE prosthesis_id = %(prosthesis)s AND (recorded_at AT TIME ZONE %(timezone)s)::date = %(day)s
"""
_HELD = """
SELECT p.prosthesis_id FROM crm.contracts k JOIN crm.customers c USING (customer_id) JOIN crm.prostheses p USING (prosthesis_id)
WHERE c.user_id = %s AND k.starts_at <= now() AND (k.ends_at IS NULL OR k.ends_at > now()) ORDER BY p.serial_number
"""
_DEVICE = "INSERT INTO telemetry.telemetry_events ({}) VALUES ({})"


@dataclass(frozen=True)
class DayNumbers:
    """One prosthesis's local day, counted in PostgreSQL."""

    events: int
    usage_ms: int
    signals: int
    recognised: int
    errors: int


class Site:
    """The running demo. Reads PostgreSQL as the auditor, writes telemetry as devices do, and CRM rows never."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.address = system.instance.page
        self._passwords = existing(system.instance.folder).secrets

    def password(self, login: str) -> str:
        return self._passwords[secret_of(login)]

    def wearer_at_midday(self) -> DemoCustomer:
        """Whose local time is farthest from midnight, so that no day ends during a test; somebody with one prosthesis."""
        return min((customer for customer in CUSTOMERS if customer.user.login != TWO_PROSTHESES), key=_hours_from_midday)

    def held_by(self, customer: DemoCustomer) -> list[int]:
        """Ids of the prostheses that the customer has now."""
        return [int(row[0]) for row in self._asked("crm", _HELD, (customer.user.user_id,))]

    def prosthesis(self, serial_number: str) -> int:
        return int(self._asked("crm", "SELECT prosthesis_id FROM crm.prostheses WHERE serial_number = %s", (serial_number,))[0][0])

    def numbers(self, prosthesis: int, timezone: str, day: date | None = None) -> DayNumbers:
        """What happened on *day* (by default the local today) of *timezone*."""
        wanted = {"prosthesis": prosthesis, "timezone": timezone, "day": day or today_in(timezone)}
        return DayNumbers(*map(int, self._asked("telemetry", _DAY, wanted)[0]))

    def device_sends(self, prosthesis: int, kind: str, **values: Any) -> None:
        """One event, recorded now, inserted by the account of the telemetry's intake."""
        row = {"prosthesis_id": prosthesis, "kind": kind} | values
        with psycopg.connect(**self._conninfo("telemetry", "telemetry_ingest"), autocommit=True) as connection:
            statement = _DEVICE.format(", ".join(["recorded_at", *row]), ", ".join(["now()", *(f"%({name})s" for name in row)]))
            connection.execute(statement.encode(), row)

    def redis(self) -> Redis:
        """A client with the BFF's account; close it."""
        return Redis.from_url(self.system.redis.url)

    def _asked(self, database: str, query: str, parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self._conninfo(database, "auditor"), autocommit=True) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def _conninfo(self, database: str, user: str) -> dict[str, Any]:
        return dict(self.system.postgres.conninfo(database, user))


def today_in(timezone: str) -> date:
    return datetime.now(ZoneInfo(timezone)).date()


def last_days(timezone: str, days: int) -> list[date]:
    """The local today and the days before it, newest first."""
    return [today_in(timezone) - timedelta(days=ago) for ago in range(days)]


def _hours_from_midday(customer: DemoCustomer) -> float:
    now = datetime.now(ZoneInfo(customer.timezone))
    away = abs(now.hour + now.minute / 60 - MIDDAY_H)
    return min(away, 2 * HALF_A_DAY_H - away)
