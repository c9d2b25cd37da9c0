"""Reads from PostgreSQL's catalogue what ``contract`` compares. The account needs no more than to connect and to count heartbeats: ``watcher``."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from connectors.contract import Identity, Observed, ObservedColumn, ObservedTable, SourceContract
from connectors.slots import SLOT, SlotState
from service_kit.settings import PostgresSettings

STATEMENT_TIMEOUT_MS = 5_000

_SERVER = """
    SELECT (SELECT system_identifier::text FROM pg_control_system()), pg_is_in_recovery(),
           CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn
"""
_PUBLICATION = "SELECT pubinsert, pubupdate, pubdelete FROM pg_publication WHERE pubname = %s"
_TABLES = """
    SELECT c.oid::bigint, n.nspname || '.' || c.relname, c.relkind::text, c.relpersistence = 'p', c.relreplident::text,
           EXISTS (SELECT FROM pg_trigger t
                   WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 34 = 34),
           p.attnames::text[], p.rowfilter,
           NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN ('auditor', 'debezium') AND NOT has_table_privilege(r.oid, c.oid, 'SELECT')),
           c.relrowsecurity,
           c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_publication_tables p ON p.pubname = %(publication)s AND p.schemaname = n.nspname AND p.tablename = c.relname
    WHERE n.nspname || '.' || c.relname = ANY(%(tables)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_COLUMNS = """
    WITH RECURSIVE resolved (relation, name, generated, type) AS (
        SELECT a.attrelid, a.attname, a.attgenerated <> '', a.atttypid
        FROM pg_attribute a WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT r.relation, r.name, r.generated, t.typbasetype FROM resolved r JOIN pg_type t ON t.oid = r.type WHERE t.typtype = 'd'
    )
    SELECT r.relation::bigint, r.name::text, r.generated, CASE WHEN t.typtype = 'e' THEN 'enum' ELSE t.typname::text END
    FROM resolved r JOIN pg_type t ON t.oid = r.type WHERE t.typtype <> 'd'
"""


def observe(database: PostgresSettings, contract: SourceContract) -> Observed:
    """The source as it is now: a few reads of the catalogue. Raises psycopg.Error."""
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
    with psycopg.connect(**database.conninfo(), options=options, autocommit=True) as connection:  # type: ignore[arg-type]  # keyword arguments of mixed types
        server = connection.execute(_SERVER).fetchone()
        publication = connection.execute(_PUBLICATION, (contract.publication,)).fetchone()
        slot = connection.execute(SLOT, (contract.slot,)).fetchone()
        tables = _tables(connection, contract)
        rows = _heartbeat_rows(connection, contract, tables)
    if server is None:
        raise psycopg.DataError("the server did not say which one it is")
    identifier, standby, timeline, lsn = server
    operations = ("inserts", "updates", "deletes")
    return Observed(
        identity=Identity(identifier, int(timeline or "0", 16), int(lsn or 0)),
        standby=standby,
        unpublished=None if publication is None else tuple(name for name, on in zip(operations, publication, strict=True) if not on),
        slot=SlotState(bool(slot[0]), slot[1] == "lost") if slot else None,
        tables=tables,
        heartbeat_rows=rows,
    )


def _tables(connection: psycopg.Connection[Any], contract: SourceContract) -> dict[str, ObservedTable]:
    parameters = {"publication": contract.publication, "tables": [table.name for table in contract.tables]}
    rows = connection.execute(_TABLES, parameters).fetchall()
    columns: dict[int, dict[str, ObservedColumn]] = {}
    for relation, name, generated, kind in connection.execute(_COLUMNS, ([row[0] for row in rows],)).fetchall():
        columns.setdefault(relation, {})[name] = ObservedColumn(kind, generated)
    return {
        name: ObservedTable(
            kind=kind,
            permanent=permanent,
            identity=identity,
            columns=columns.get(relation, {}),
            truncate_trigger=trigger,
            published_columns=None if published is None else frozenset(published),
            row_filter=row_filter,
            readable=readable,
            row_security=row_security,
            has_children=children,
        )
        for relation, name, kind, permanent, identity, trigger, published, row_filter, readable, row_security, children in rows
    }


def _heartbeat_rows(connection: psycopg.Connection[Any], contract: SourceContract, tables: dict[str, ObservedTable]) -> int:
    name = next(table.name for table in contract.tables if table.role == "heartbeats")
    if name not in tables:
        return 0
    found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*name.split(".")))).fetchone()
    return int(found[0]) if found else 0
