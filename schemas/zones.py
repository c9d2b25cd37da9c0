"""The one time-zone database: the pinned ``tzdata`` package, whatever the machine, PostgreSQL and a browser have.

A zone is known by exactly a name that the database lists; any other spelling is unknown, and read as UTC.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

UNKNOWN = "UTC"


@cache
def names() -> frozenset[str]:
    """Every name that the database knows."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def is_known(name: str) -> bool:
    """Whether *name* is, letter by letter, one of the database."""
    return name in names()


def in_force(name: str) -> str:
    """*name*, or ``UTC`` where the database does not know it."""
    return name if name in names() else UNKNOWN


def zone(name: str) -> ZoneInfo:
    """The zone of *name*; UTC where it is unknown."""
    return _zone(in_force(name))


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    """Read from the package itself: ``ZoneInfo(name)`` would prefer the machine's files."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
