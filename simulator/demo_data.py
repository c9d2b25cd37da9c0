"""The demo's people, prostheses and contracts: fixed, so that logins, tests and screenshots agree. All of it is invented.

Times are told in days before the load (``now``); everything else is constant. Someone is awake at any hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(frozen=True)
class DemoUser:
    """Somebody who can log in. ``user_id`` is the subject (``sub``) at the identity provider."""

    login: str
    user_id: UUID
    full_name: str
    email: str
    role: Literal["wearer", "support"] = "wearer"


@dataclass(frozen=True)
class DemoCustomer:
    """A wearer as the CRM knows them; *home* is (latitude, longitude) of the town's centre, in degrees."""

    user: DemoUser
    timezone: str
    home: tuple[float, float]


@dataclass(frozen=True)
class DemoProsthesis:
    serial_number: str
    model: str


@dataclass(frozen=True)
class DemoContract:
    """Who had the prosthesis from *starts* to *ends* days before the load (None: still)."""

    number: str
    login: str
    serial_number: str
    starts: int
    ends: int | None = None


def _customer(number: int, login: str, full_name: str, timezone: str, home: tuple[float, float]) -> DemoCustomer:
    user = DemoUser(login, UUID(f"b10c9000-0000-4000-8000-{number:012}"), full_name, f"{login}@example.org")
    return DemoCustomer(user, timezone, home)


CUSTOMERS = (
    _customer(1, "ivan.petrov", "Иван Петров", "Europe/Moscow", (55.7558, 37.6173)),
    _customer(2, "emily.carter", "Emily Carter", "America/New_York", (40.7128, -74.0060)),
    _customer(3, "arjun.mehta", "Arjun Mehta", "Asia/Kolkata", (19.0760, 72.8777)),
    _customer(4, "aroha.ngata", "Aroha Ngata", "Pacific/Auckland", (-36.8509, 174.7645)),
    _customer(5, "yuki.tanaka", "田中 ゆき", "Asia/Tokyo", (35.6762, 139.6503)),
    _customer(6, "lukas.weber", "Lukas Weber", "Europe/Berlin", (52.5200, 13.4050)),
    _customer(7, "mia.alvarez", "Mía Álvarez", "America/Los_Angeles", (34.0522, -118.2437)),
    _customer(8, "noah.bishop", "Noah Bishop", "Australia/Lord_Howe", (-31.5553, 159.0821)),
    _customer(9, "olga.smirnova", "Ольга Смирнова", "Asia/Vladivostok", (43.1155, 131.8855)),
)

SUPPORT = DemoUser("sam.support", UUID("b10c9000-0000-4000-8000-000000000100"), "Sam Support", "sam.support@example.org", "support")

USERS = (*(customer.user for customer in CUSTOMERS), SUPPORT)

PROSTHESES = (
    DemoProsthesis("BH3-0001", "Bionic Hand M3"),
    DemoProsthesis("BH3-0002", "Bionic Hand M3"),
    DemoProsthesis("BK2-0003", "Bionic Knee K2"),
    DemoProsthesis("BA1-0004", "Bionic Arm A1"),
    DemoProsthesis("BF2-0005", "Bionic Foot F2"),
    DemoProsthesis("BH4-0006", "Bionic Hand M4"),
    DemoProsthesis("BH3-0007", "Bionic Hand M3"),
    DemoProsthesis("BH4-0008", "Bionic Hand M4"),
    DemoProsthesis("BK2-0009", "Bionic Knee K2"),
    DemoProsthesis("BA1-0010", "Bionic Arm A1"),
)

# Emily wears two. BH3-0007 was Lukas's, came back, and two days later went to Mía; Lukas has a newer one since. Ivan's contract was renewed.
CONTRACTS = (
    DemoContract("BP-2026-0001", "ivan.petrov", "BH3-0001", 400, 45),
    DemoContract("BP-2026-0101", "ivan.petrov", "BH3-0001", 45),
    DemoContract("BP-2026-0002", "emily.carter", "BH3-0002", 300),
    DemoContract("BP-2026-0003", "emily.carter", "BK2-0003", 200),
    DemoContract("BP-2026-0004", "arjun.mehta", "BA1-0004", 250),
    DemoContract("BP-2026-0005", "aroha.ngata", "BF2-0005", 180),
    DemoContract("BP-2026-0006", "yuki.tanaka", "BH4-0006", 150),
    DemoContract("BP-2026-0007", "lukas.weber", "BH3-0007", 365, 32),
    DemoContract("BP-2026-0107", "mia.alvarez", "BH3-0007", 30),
    DemoContract("BP-2026-0008", "lukas.weber", "BH4-0008", 32),
    DemoContract("BP-2026-0009", "noah.bishop", "BK2-0009", 120),
    DemoContract("BP-2026-0010", "olga.smirnova", "BA1-0010", 140),
)
