"""Names that belong to a generation of tables: its database in ClickHouse, its consumer group, its directory's changelog. One place knows them."""

from __future__ import annotations

import msgspec

FIRST_GENERATION = 1
BUILDING, SERVING, RETIRED, DROPPED = "building", "serving", "retired", "dropped"


class _Detail(msgspec.Struct, frozen=True):
    begins: dict[int, int] = {}


def begins_of(detail: str) -> dict[int, int]:
    """By partition the first offset of the log that a generation handles, from what its builder noted (``cli/rebuild/progress.py``); empty where it was not made by a rebuild.

    What lies before belongs to what it was built from: it may be of another timeline of the source, or of another topic of the CRM.
    """
    return msgspec.json.decode(detail, type=_Detail).begins if detail else {}


def database_of(shared: str, generation: int) -> str:
    """The database of *generation*'s tables; *shared* is the one that readers see."""
    return f"{shared}_g{generation}"


def group_of(base: str, generation: int) -> str:
    """The consumer group of *generation*'s workers. Each generation has positions and a directory of its own, so that none inherits another's."""
    return base if generation == FIRST_GENERATION else f"{base}-g{generation}"


def changelog_of(group: str) -> str:
    """The topic of the directory's table, as Faust names it for the application *group*."""
    return f"{group}-directory-changelog"
