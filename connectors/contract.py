"""The contract of a source: what its database must be like for every row to arrive, and what is wrong where it is not. Pure.

Heartbeats prove that the pipe from a database is alive, not that a table is in it. What can be seen in PostgreSQL's catalogue is compared here, and
each finding says what drifted, what that means for reports, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from connectors.apply import Connector
from connectors.slots import SlotState
from schemas.mapping import Crm, IdColumn, SourceMapping, TelemetryTable, TimeColumn
from schemas.source_types import USABLE, Carries
from schemas.topics import log_partitions

Source = Literal["crm", "telemetry"]
SOURCES: tuple[Source, ...] = ("crm", "telemetry")

REPAIR = "`bionicpro repair`"
NEW_POSITIONS = (
    "`bionicpro connectors resnapshot crm`, `bionicpro connectors resnapshot telemetry`, then `bionicpro rebuild --source postgres`"
)


@dataclass(frozen=True)
class Finding:
    """One drift. *stops*: rows may be missing or wrong from now on, so that no report is fresh any more. Each text is one line."""

    what: str
    means: str
    do: str
    stops: bool = True


@dataclass(frozen=True)
class TableContract:
    """*columns*: what each is to carry. *role*: ``data`` must tell old rows and truncates, ``heartbeats`` and ``signals`` need neither."""

    name: str
    role: Literal["data", "heartbeats", "signals"]
    columns: Mapping[str, Carries] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceContract:
    source: Source
    publication: str
    slot: str
    tables: tuple[TableContract, ...]
    heartbeat_rows: int


@dataclass(frozen=True)
class Identity:
    """Which server this is, and how far its log is: two databases with the same positions are not the same after a restore."""

    system_identifier: str
    timeline: int
    lsn: int


@dataclass(frozen=True)
class ObservedColumn:
    """*type*: as ``schemas.source_types`` names it."""

    type: str
    generated: bool = False


@dataclass(frozen=True)
class ObservedTable:
    """A table as the catalogue has it. *published_columns* None: not in the publication."""

    kind: str = "r"
    permanent: bool = True
    identity: str = "f"
    columns: Mapping[str, ObservedColumn] = field(default_factory=dict)
    truncate_trigger: bool = True
    published_columns: frozenset[str] | None = None
    row_filter: str | None = None
    readable: bool = True
    row_security: bool = False
    has_children: bool = False


@dataclass(frozen=True)
class Observed:
    """A source as it is. *unpublished*: the operations that the publication leaves out; None where there is no publication."""

    identity: Identity
    standby: bool
    unpublished: tuple[str, ...] | None
    slot: SlotState | None
    tables: Mapping[str, ObservedTable]
    heartbeat_rows: int


def contract_of(source: Source, connector: Connector, mapping: SourceMapping) -> SourceContract:
    """What *source* must be like for *connector*, as its file has it, and *mapping*."""
    config = connector.config
    heartbeats, rows = (mapping.crm.heartbeats, 1) if source == "crm" else (mapping.heartbeats, log_partitions())
    columns = _crm_columns(mapping.crm) if source == "crm" else {mapping.telemetry.table: telemetry_columns(mapping.telemetry)}
    return SourceContract(
        source=source,
        publication=config["publication.name"],
        slot=config["slot.name"],
        tables=(
            *(TableContract(name, "data", wanted) for name, wanted in columns.items()),
            TableContract(heartbeats.table, "heartbeats"),
            TableContract(config["signal.data.collection"], "signals"),
        ),
        heartbeat_rows=rows,
    )


def telemetry_columns(table: TelemetryTable) -> dict[str, Carries]:
    """What each mapped column of the telemetry table is to carry."""
    wanted: dict[str, Carries] = {
        table.event_id.column: _id(table.event_id),
        table.prosthesis_id.column: _id(table.prosthesis_id),
        table.recorded_at.column: _time(table.recorded_at),
    }
    if table.received_at:
        wanted[table.received_at.column] = _time(table.received_at)
    for column in (table.kind, table.error_code, table.error_severity):
        if column:
            wanted[column.column] = "text"
    if table.recognised:
        wanted[table.recognised.column] = "boolean"
    for number in (table.amplitude, table.active, table.battery, table.latitude, table.longitude):
        if number:
            wanted[number.column] = "integer" if number.factor == 1 else "number"
    return wanted


def _crm_columns(crm: Crm) -> dict[str, dict[str, Carries]]:
    customers, contracts, prostheses = crm.customers, crm.contracts, crm.prostheses
    return {
        customers.table: {customers.id: "id", customers.user_id: "id", customers.name: "text", customers.timezone: "text"},
        prostheses.table: {prostheses.id: "id", prostheses.model: "text", prostheses.serial_number: "text"},
        contracts.table: {
            contracts.id: "id",
            contracts.number: "text",
            contracts.customer_id: "id",
            contracts.prosthesis_id: "id",
            contracts.starts_at.column: _time(contracts.starts_at),
            contracts.ends_at.column: _time(contracts.ends_at),
        },
    }


def _id(column: IdColumn) -> Carries:
    return "integer id" if column.type == "integer" else "uuid"


def _time(column: TimeColumn) -> Carries:
    return "timestamp" if column.unit == "timestamp" else "integer"


def findings(contract: SourceContract, observed: Observed, known: Identity | None) -> list[Finding]:
    """Everything in which *observed* is not as *contract* says. *known*: the server that the present tables were filled from; None: not known yet."""
    return [
        *_identity(contract, observed, known),
        *_publication(contract, observed),
        *_slot(contract, observed),
        *(found for table in contract.tables for found in _table(contract, table, observed.tables.get(table.name))),
        *_heartbeats(contract, observed),
    ]


def same_server(observed: Identity, known: Identity | None) -> bool:
    """Whether positions of *known* still order what comes from *observed*."""
    return known is None or (
        (observed.system_identifier, observed.timeline) == (known.system_identifier, known.timeline) and observed.lsn >= known.lsn
    )


def _identity(contract: SourceContract, observed: Observed, known: Identity | None) -> Iterator[Finding]:
    now = observed.identity
    if observed.standby:
        yield Finding(
            f"the database of {contract.source} is a standby",
            "heartbeats and signals cannot be written",
            "name the primary server in the settings",
        )
    if known is None or same_server(now, known):
        return
    if now.system_identifier != known.system_identifier:
        what = f"another server answers for {contract.source}: its system identifier is {now.system_identifier}, it was {known.system_identifier}"
    elif now.timeline != known.timeline:
        what = f"the server of {contract.source} was restored or promoted: its timeline is {now.timeline}, it was {known.timeline}"
    else:
        what = (
            f"the server of {contract.source} went back: its log ends at {_lsn(now.lsn)}, and {_lsn(known.lsn)} was seen (a restored copy)"
        )
    yield Finding(what, "positions start lower, so that new changes look older than what is known, and are left out", NEW_POSITIONS)


def _publication(contract: SourceContract, observed: Observed) -> Iterator[Finding]:
    name = contract.publication
    if observed.unpublished is None:
        do = f"apply the migration that makes it, then `bionicpro connectors resnapshot {contract.source}` and {REPAIR}"
        yield Finding(f"publication {name} does not exist", "nothing of the database arrives", do)
    elif observed.unpublished:
        left_out = ", ".join(observed.unpublished)
        do = f"`ALTER PUBLICATION {name} SET (publish = 'insert, update, delete')`, then {REPAIR}"
        yield Finding(f"publication {name} leaves out {left_out}", f"{left_out} in the source never arrive", do)


def _slot(contract: SourceContract, observed: Observed) -> Iterator[Finding]:
    do = f"`bionicpro connectors resnapshot {contract.source}`, then {REPAIR}"
    if observed.slot is None:
        yield Finding(f"replication slot {contract.slot} does not exist", "changes are not kept for the connector", do)
    elif observed.slot.lost:
        yield Finding(f"replication slot {contract.slot} is lost", "PostgreSQL removed changes that were not read", do)


def _table(contract: SourceContract, wanted: TableContract, found: ObservedTable | None) -> Iterator[Finding]:
    if found is None:
        yield Finding(f"{wanted.name} does not exist", _without(wanted), f"rename or restore it, then {REPAIR}", stops=_matters(wanted))
        return
    if found.kind != "r":
        kinds = {"p": "a partitioned table", "v": "a view", "m": "a materialized view", "f": "a foreign table"}
        what = f"{wanted.name} is {kinds.get(found.kind, f'of kind {found.kind}')}"
        yield Finding(what, f"rows are published under other names: {_without(wanted)}", f"make it an ordinary table again, then {REPAIR}")
        return
    if not found.permanent:
        yield Finding(f"{wanted.name} is unlogged or temporary", _without(wanted), f"`ALTER TABLE {wanted.name} SET LOGGED`, then {REPAIR}")
    if found.has_children:
        yield Finding(
            f"other tables inherit from {wanted.name}",
            "their rows arrive under other names, and so not at all",
            f"move their rows into it, then {REPAIR}",
        )
    yield from _published(contract, wanted, found)
    if wanted.role == "data":
        yield from _old_rows(wanted, found)
        yield from _columns(wanted, found)


def _without(wanted: TableContract) -> str:
    meanings = {
        "data": "none of its rows arrive",
        "heartbeats": "a silent partition is no longer known to be up to date, and `verify` has no barrier",
        "signals": "`repair` and `rebuild` cannot ask for rows",
    }
    return meanings[wanted.role]


def _matters(wanted: TableContract) -> bool:
    """Whether reports need the table: signals are needed for repairs only."""
    return wanted.role != "signals"


def _published(contract: SourceContract, wanted: TableContract, found: ObservedTable) -> Iterator[Finding]:
    name, publication = wanted.name, contract.publication
    again = f"`ALTER PUBLICATION {publication} DROP TABLE {name}` and `ADD TABLE {name}`, then {REPAIR}"
    if found.published_columns is None:
        note = " (a renamed table stays in the publication under its new name)" if wanted.role == "data" else ""
        do = f"`ALTER PUBLICATION {publication} ADD TABLE {name}`, then {REPAIR}"
        yield Finding(f"{name} is not in publication {publication}{note}", _without(wanted), do, stops=_matters(wanted))
        return
    if found.row_filter is not None:
        yield Finding(
            f"publication {publication} filters the rows of {name}", "rows outside the filter never arrive, or arrive as deletes", again
        )
    if left_out := sorted(name for name, column in found.columns.items() if not column.generated and name not in found.published_columns):
        what = f"publication {publication} leaves out columns of {name}: {_some(left_out)}"
        yield Finding(what, "rows arrive without them, and the source's own updates and deletes are refused", again)


def _old_rows(wanted: TableContract, found: ObservedTable) -> Iterator[Finding]:
    name = wanted.name
    if found.identity != "f":
        do = f"`ALTER TABLE {name} REPLICA IDENTITY FULL`, then {REPAIR}"
        yield Finding(f"{name} has not REPLICA IDENTITY FULL", "deletes and moves do not say what goes, so that it stays in reports", do)
    if not found.truncate_trigger:
        do = f"make its BEFORE TRUNCATE trigger again, or enable it, then {REPAIR}"
        yield Finding(f"{name} has no enabled BEFORE TRUNCATE trigger", "a TRUNCATE would leave all its rows in reports", do, stops=False)
    if not found.readable:
        do = f"`GRANT SELECT ON {name} TO auditor, debezium`"
        yield Finding(
            f"{name} may not be read by debezium, or by auditor",
            "`verify` and `repair` cannot look at it, nor snapshots read it",
            do,
            stops=False,
        )
    if found.row_security:
        do = f"`ALTER TABLE {name} DISABLE ROW LEVEL SECURITY`, or let the accounts debezium and auditor bypass it"
        yield Finding(f"{name} has row level security", "snapshots and `verify` see what its policies let them see", do, stops=False)


def _columns(wanted: TableContract, found: ObservedTable) -> Iterator[Finding]:
    for name, carries in wanted.columns.items():
        column = found.columns.get(name)
        where = f"{wanted.name}.{name}"
        if column is None:
            do = f"rename it back (or change the mapping and `bionicpro rebuild --source postgres`), then {REPAIR}"
            yield Finding(f"{where} does not exist: renamed or dropped", "rows without it are dead letters, and count in no report", do)
        elif column.generated:
            do = f"make it an ordinary column, filled by a trigger, then {REPAIR}"
            yield Finding(f"{where} is a generated column", "PostgreSQL publishes no generated columns: rows arrive without it", do)
        elif column.type not in USABLE[carries]:
            usable = ", ".join(sorted(USABLE[carries]))
            do = f"give it one of {usable}, then `bionicpro dlq replay --reason invalid-row` and {REPAIR}"
            yield Finding(f"{where} has the type {column.type}, which cannot be read as {carries}", "its rows are dead letters", do)


def _heartbeats(contract: SourceContract, observed: Observed) -> Iterator[Finding]:
    table = next(table for table in contract.tables if table.role == "heartbeats")
    if table.name in observed.tables and observed.heartbeat_rows != contract.heartbeat_rows:
        what = f"{table.name} has {observed.heartbeat_rows} rows, {contract.heartbeat_rows} are needed"
        yield Finding(what, _without(table), f"run the source's migrations again (they make the rows of an empty {table.name})")


def _lsn(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
