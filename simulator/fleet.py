"""Which devices are out there: the prostheses under contract now, as the CRM has them."""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from psycopg import Connection

from simulator.demo_data import CUSTOMERS
from simulator.devices import Device

_HOMES = {customer.user.user_id: customer.home for customer in CUSTOMERS}


def read_fleet(crm: Connection[tuple[Any, ...]], now: datetime) -> list[Device]:
    """The devices with an owner at *now* (aware), by prosthesis id; where contracts overlap, the later one's owner."""
    rows = crm.execute(
        "SELECT DISTINCT ON (p.prosthesis_id) p.prosthesis_id, p.serial_number, c.timezone, c.user_id"
        " FROM crm.contracts k JOIN crm.prostheses p USING (prosthesis_id) JOIN crm.customers c USING (customer_id)"
        " WHERE k.starts_at <= %(now)s AND (k.ends_at IS NULL OR k.ends_at > %(now)s)"
        " AND p.serial_number NOT LIKE 'PROBE-%%'"  # the operator's probe has a prosthesis of its own
        " ORDER BY p.prosthesis_id, k.starts_at DESC, k.contract_id DESC",
        {"now": now},
    ).fetchall()
    return [
        Device(prosthesis_id, serial, known_timezone(timezone), _HOMES.get(user_id) or _somewhere(serial))
        for prosthesis_id, serial, timezone, user_id in rows
    ]


def known_timezone(name: str) -> str:
    """*name* where it is a time zone, otherwise ``UTC``, as the reports read it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
    return name


def renew_a_contract(crm: Connection[tuple[Any, ...]], now: datetime, rng: Random) -> str | None:
    """End one open contract at *now* and begin its successor with the same owner at the same instant; the new number, or None without contracts.

    One transaction. The owner stays the same; the reports of today get the new contract.
    """
    with crm.transaction():
        rows = crm.execute(
            "SELECT contract_id, number, customer_id, prosthesis_id FROM crm.contracts"
            " WHERE ends_at IS NULL AND starts_at < %s ORDER BY contract_id",
            (now,),
        ).fetchall()
        if not rows:
            return None
        contract_id, number, customer_id, prosthesis_id = rng.choice(rows)
        base, _, round_ = str(number).partition("/")
        renewed = f"{base}/{int(round_) + 1 if round_.isdigit() else 2}"
        crm.execute("UPDATE crm.contracts SET ends_at = %s WHERE contract_id = %s", (now, contract_id))
        crm.execute(
            "INSERT INTO crm.contracts (number, customer_id, prosthesis_id, starts_at) VALUES (%s, %s, %s, %s)",
            (renewed, customer_id, prosthesis_id, now),
        )
    return renewed


def _somewhere(serial: str) -> tuple[float, float]:
    rng = Random(serial)  # noqa: S311 - a model, no secret
    return round(rng.uniform(-50, 60), 4), round(rng.uniform(-170, 170), 4)
