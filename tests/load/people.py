"""The people of a load run: users of the realm, each with rows of the mart that nobody else's could be mistaken for."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from bff.demo_users import DemoUser, ensure_demo_users
from schemas.mart import MartRow
from tests.support.bff_case import Realm
from tests.support.reports_world import Mart, row

DAYS_BEFORE, DAYS_AFTER = 4, 1
"""Reports of each person: days before today, and tomorrow, so that midnight changes nothing."""


@dataclass(frozen=True)
class Person:
    number: int
    user: DemoUser

    @property
    def prosthesis_id(self) -> str:
        return str(700_000 + self.number)


def enrol(realm: Realm, size: int) -> list[Person]:
    """*size* new wearers in the realm, in one call."""
    run = secrets.token_hex(3)
    people = []
    for number in range(size):
        login = f"load-{run}-{number}"
        people.append(Person(number, DemoUser(str(uuid4()), login, f"{login}@example.org", "Load", str(number), secrets.token_urlsafe(12))))
    ensure_demo_users(realm.admin, (person.user for person in people), realm=realm.name)
    return people


def days(today: date) -> list[date]:
    return [today + timedelta(days=n) for n in range(-DAYS_BEFORE, DAYS_AFTER + 1)]


def rows_of(person: Person, version: int) -> list[MartRow]:
    """The person's rows; everything that tells them apart follows from who it is and from the version."""
    own = {
        "prosthesis_id": person.prosthesis_id,
        "customer_name": person.user.username,
        "recognised_count": version,
        "signal_count": version + person.number,
        "usage_ms": 1000 * person.number,
        "version": version,
        "log_partition": 7,
    }
    return [row(person.user.user_id, day, **own) for day in days(datetime.now(UTC).date())]


def fault_of(person: Person, report: dict[str, Any]) -> str | None:
    """Why *report*, an element of ``items``, is not one of this person's; None if it is."""
    version = report["version"]
    said = (report["prosthesis_id"], report["customer_name"], report["usage"]["total_ms"])
    if said != (person.prosthesis_id, person.user.username, 1000 * person.number):
        return f"a report of {said}"
    counted = (report["signals"]["recognised_count"], report["signals"]["count"])
    return None if counted == (version, version + person.number) else f"version {version} with the counts {counted}"


def in_mart(mart: Mart, people: Sequence[Person]) -> dict[str, set[tuple[str, str, int]]]:
    """(day, prosthesis, version) of each user's rows, as the mart has them."""
    found: dict[str, set[tuple[str, str, int]]] = {person.user.user_id: set() for person in people}
    query = "SELECT user_id, report_date, prosthesis_id, version FROM bionicpro.user_daily_reports WHERE user_id IN %(users)s"
    for user_id, day, prosthesis_id, version in mart.migrator.execute(query, {"users": list(found)}):
        found[user_id].add((day.isoformat(), prosthesis_id, version))
    return found
