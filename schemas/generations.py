"""Names that belong to a generation of tables: its database in ClickHouse, its consumer group, its directory's changelog. One place knows them."""

from __future__ import annotations

FIRST_GENERATION = 1
BUILDING, SERVING, RETIRED, DROPPED = "building", "serving", "retired", "dropped"


def database_of(shared: str, generation: int) -> str:
    """The database of *generation*'s tables; *shared* is the one that readers see."""
    return f"{shared}_g{generation}"


def group_of(base: str, generation: int) -> str:
    """The consumer group of *generation*'s workers. Each generation has positions and a directory of its own, so that none inherits another's."""
    return base if generation == FIRST_GENERATION else f"{base}-g{generation}"


def changelog_of(group: str) -> str:
    """The topic of the directory's table, as Faust names it for the application *group*."""
    return f"{group}-directory-changelog"
