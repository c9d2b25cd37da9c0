"""Sources that change in the middle of a schedule: what their owner does, what has to be noticed, and the documented way back (docs/inputs.md). Pure.

Each step may be carried out again: whether it was committed is not known after a broken connection.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

from tests.chaos.workload import Operation, Plan

EVENTS = "telemetry.telemetry_events"
PUBLISH = f"ALTER PUBLICATION bionicpro_telemetry DROP TABLE {EVENTS}; ALTER PUBLICATION bionicpro_telemetry ADD TABLE {EVENTS}"
BEGINS, MOST_SECONDS = (0.15, 0.5), (4.0, 9.0)
LOST_ROWS = 30


@dataclass(frozen=True)
class Step:
    """*statements* in one transaction, left out where the query *done* says true already."""

    statements: str
    done: str = "SELECT false"


@dataclass(frozen=True)
class Drift:
    """*says*: in the finding that names it; None: it is no drift, and nothing has to be healed. *reasons* of dead letters that it may leave.

    *hides*: rows of its time do not arrive, refused ones neither. *nulls*: a column of telemetry that Debezium may tell as null, and not as absent, of rows that are on their way when
    its name changes. *meanwhile* is done once it is named. *loses_slot*: the source's replication slot is dropped, and `connectors resnapshot` is the way back.
    *unreadable*: so it is where Debezium comes to a row of its time only after it was mended, for then it fails at that row for ever.
    """

    name: str
    database: Literal["crm", "telemetry"]
    apply: Step
    mend: Step
    says: str | None
    reasons: frozenset[str] = field(default_factory=frozenset)
    hides: bool = False
    nulls: str = ""
    meanwhile: Step | None = None
    loses_slot: bool = False
    unreadable: bool = False


NOTHING = Step("SELECT")


def _slot_dropped(source: Literal["crm", "telemetry"]) -> Drift:
    says = f"replication slot bionicpro_{source} does not exist"
    return Drift(f"slot of {source} dropped", source, NOTHING, NOTHING, says, hides=source == "telemetry", loses_slot=True)


def _has_column(table: str, column: str) -> str:
    schema, _, name = table.partition(".")
    return (
        "SELECT EXISTS (SELECT FROM information_schema.columns"
        f" WHERE table_schema = '{schema}' AND table_name = '{name}' AND column_name = '{column}')"
    )


def _renamed(table: str, column: str, meanwhile: Step | None = None) -> Drift:
    return Drift(
        name=f"{table}.{column} renamed",
        database="crm" if table.startswith("crm.") else "telemetry",
        apply=Step(f"ALTER TABLE {table} RENAME COLUMN {column} TO renamed", _has_column(table, "renamed")),
        mend=Step(f"ALTER TABLE {table} RENAME COLUMN renamed TO {column}", _has_column(table, column)),
        says=f"{table}.{column} does not exist",
        reasons=frozenset({"absent-column"}),
        nulls=column if table == EVENTS else "",
        meanwhile=meanwhile,
    )


def _without_identity(table: str) -> Drift:
    return Drift(
        name=f"{table} without full identity",
        database="crm" if table.startswith("crm.") else "telemetry",
        apply=Step(f"ALTER TABLE {table} REPLICA IDENTITY DEFAULT"),
        mend=Step(f"ALTER TABLE {table} REPLICA IDENTITY FULL"),
        says=f"{table} has not REPLICA IDENTITY FULL",
        reasons=frozenset({"without-identity"}),
    )


def _published(name: str, clause: str, says: str, reasons: frozenset[str] = frozenset()) -> Drift:
    return Drift(name, "telemetry", Step(f"{PUBLISH} {clause}"), Step(PUBLISH), says, reasons, hides=True)


def _column_added(table: str, meanwhile: Step | None = None) -> Drift:
    """A migration as owners make them: with a default, so that every row has it at once. It is taken back as one."""
    there = _has_column(table, "added")
    return Drift(
        name=f"{table} with a column more",
        database="crm" if table.startswith("crm.") else "telemetry",
        apply=Step(f"ALTER TABLE {table} ADD COLUMN added text NOT NULL DEFAULT 'by a migration'", there),
        mend=Step(f"ALTER TABLE {table} DROP COLUMN added", there.replace("EXISTS", "NOT EXISTS", 1)),
        says=None,
        meanwhile=meanwhile,
    )


def _other_type(column: str, other: str, own: str) -> Drift:
    apply, mend = (Step(f"ALTER TABLE {EVENTS} ALTER COLUMN {column} TYPE {type_}") for type_ in (other, own))
    return Drift(f"{column} as {other}", "telemetry", apply, mend, says=None, unreadable=True)


SWAPPED = Drift(
    name="swapped by a rename",
    database="telemetry",
    apply=Step(
        f"""
        ALTER TABLE {EVENTS} RENAME TO telemetry_events_old;
        CREATE TABLE {EVENTS} (LIKE telemetry.telemetry_events_old INCLUDING ALL);
        INSERT INTO {EVENTS} SELECT * FROM telemetry.telemetry_events_old;
        GRANT SELECT, INSERT, UPDATE, DELETE ON {EVENTS} TO telemetry_ingest""",
        "SELECT to_regclass('telemetry.telemetry_events_old') IS NOT NULL",
    ),
    mend=Step(
        f"""
        ALTER TABLE {EVENTS} OWNER TO telemetry_owner;
        ALTER TABLE {EVENTS} REPLICA IDENTITY FULL;
        GRANT SELECT ON {EVENTS} TO debezium, auditor;
        CREATE TRIGGER delete_before_truncate BEFORE TRUNCATE ON {EVENTS} FOR EACH STATEMENT EXECUTE FUNCTION telemetry.delete_before_truncate();
        DROP TABLE telemetry.telemetry_events_old;
        ALTER PUBLICATION bionicpro_telemetry ADD TABLE {EVENTS}""",
        "SELECT to_regclass('telemetry.telemetry_events_old') IS NULL",
    ),
    says=f"{EVENTS} is not in publication",
    hides=True,
)
# Rows that vanish without a word: a truncated table that is filled again with nearly all of them.
TRUNCATED = Drift(
    name="truncated without its trigger",
    database="telemetry",
    apply=Step(f"ALTER TABLE {EVENTS} DISABLE TRIGGER delete_before_truncate"),
    mend=Step(f"ALTER TABLE {EVENTS} ENABLE TRIGGER delete_before_truncate"),
    says="no enabled BEFORE TRUNCATE trigger",
    meanwhile=Step(
        f"""
        LOCK TABLE {EVENTS};
        CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {EVENTS} WHERE event_id NOT IN (
            SELECT event_id FROM {EVENTS} WHERE prosthesis_id BETWEEN {{first}} AND {{last}} AND event_id <> ALL (ARRAY[{{broken}}]::bigint[])
            ORDER BY hashint8(event_id) LIMIT {LOST_ROWS});
        TRUNCATE {EVENTS};
        INSERT INTO {EVENTS} SELECT * FROM kept"""
    ),
)
# The owner's own change of rows, for no device knows the column's other name.
TOUCHED = Step(
    f"UPDATE {EVENTS} SET kind = kind WHERE event_id IN ("
    f"SELECT event_id FROM {EVENTS} WHERE prosthesis_id BETWEEN {{first}} AND {{last}} ORDER BY event_id DESC LIMIT 50)"
)
DRIFTS = (
    SWAPPED,
    _without_identity(EVENTS),
    _renamed("crm.customers", "timezone"),
    TRUNCATED,
    _published("a row filter", "WHERE (event_id % 3 <> 0)", "filters the rows"),
    _other_type("battery_percent", "numeric(5,2)", "smallint"),
    _renamed("crm.contracts", "customer_id"),
    _renamed(EVENTS, "battery_percent", TOUCHED),
    _without_identity("crm.contracts"),
    _published("a column list", "(event_id, prosthesis_id, recorded_at)", "leaves out columns", frozenset({"absent-column"})),
    _other_type("active_ms", "double precision", "integer"),
    _without_identity("crm.customers"),
    _renamed("crm.prostheses", "model"),
    _slot_dropped("telemetry"),
    _slot_dropped("crm"),
    _column_added(EVENTS, TOUCHED),
    _column_added("crm.contracts"),
)


def drift_of(seed: int) -> Drift:
    """They go round with the seed, so that consecutive seeds reach them all, and those without a loss (``losses.py``) too: their number is odd."""
    return DRIFTS[seed % len(DRIFTS)]


def drift_operations(seed: int, made: Plan, seconds: float) -> list[Operation]:
    """The owner's part in the schedule of *seed*, in order: each operation is begun when the one before it is done."""
    chance = random.Random(f"owner {seed}")
    drift, begins = drift_of(seed), seconds * chance.uniform(*BEGINS)
    ends = begins + chance.uniform(*MOST_SECONDS)
    wanted = [(begins, "drift"), (begins, "notice"), *([(begins, "meanwhile")] if drift.meanwhile else []), (ends, "mend"), (ends, "well")]
    if drift.unreadable:
        wanted.append((ends, "go past"))
    if drift.says is not None or drift.unreadable:
        wanted.append((ends, "repair"))
    broken = ", ".join(map(str, sorted(made.broken)))
    values = {"first": made.prostheses[0], "last": made.prostheses[-1], "broken": broken}
    return [Operation(round(at, 3), "owner", what, {"drift": drift, "values": values}) for at, what in wanted]
