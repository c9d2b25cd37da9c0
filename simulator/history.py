"""The demo's past: the readings that the demo's devices had uploaded by a given moment. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from simulator.demo_data import CONTRACTS, CUSTOMERS, DemoContract
from simulator.devices import Device, Reading, plan_day, readings

_CUSTOMERS = {customer.user.login: customer for customer in CUSTOMERS}


def contract_times(contract: DemoContract, now: datetime) -> tuple[datetime, datetime | None]:
    """When *contract* starts and ends (None: open): 09:00 UTC of so many days before *now*."""
    morning = now.astimezone(UTC).replace(hour=9, minute=0, second=0, microsecond=0)
    ends = None if contract.ends is None else morning - timedelta(days=contract.ends)
    return morning - timedelta(days=contract.starts), ends


def history(prosthesis_ids: Mapping[str, int], now: datetime, days: int) -> Iterator[Reading]:
    """What was recorded in the last *days* days under any contract and received by *now*, a contract after another, by time.

    *prosthesis_ids*: the id of each serial number. About 150 readings a device and day; those still on a device without network are left out.
    """
    for contract in CONTRACTS:
        starts, ends = contract_times(contract, now)
        customer = _CUSTOMERS[contract.login]
        serial = contract.serial_number
        device = Device(prosthesis_ids[serial], serial, customer.timezone, customer.home)
        begins = max(starts, now - timedelta(days=days))
        yield from _uploaded(device, begins, min(now, ends or now), now)


def _uploaded(device: Device, begins: datetime, ends: datetime, now: datetime) -> Iterator[Reading]:
    zone = ZoneInfo(device.timezone)
    day = begins.astimezone(zone).date()
    while day <= ends.astimezone(zone).date():
        for reading in readings(plan_day(device, day)):
            if begins <= reading.recorded_at < ends and reading.received_at <= now:
                yield reading
        day += timedelta(days=1)
