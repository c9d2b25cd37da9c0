"""Source databases for tests: fresh ones beside those of the running system, on the same server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from simulator.sources.migrate import apply
from simulator.sources.roles import ROLES
from tests.support.endpoints import PostgresEndpoint


def passwords(postgres: PostgresEndpoint) -> dict[str, SecretStr]:
    """The password of each role that the migrations make."""
    return {role.name: SecretStr(postgres.accounts[role.name].password) for role in ROLES}


@dataclass(frozen=True)
class Sources:
    """A migrated pair of databases. ``databases`` maps a schema (``crm``, ``telemetry``) to its database's name."""

    postgres: PostgresEndpoint
    databases: dict[str, str]

    def conninfo(self, schema: str, role: str) -> dict[str, Any]:
        """Keyword arguments of ``psycopg.connect`` for *role* (``postgres``: the superuser) to the database of *schema*."""
        return dict(self.postgres.conninfo(self.databases[schema], role))

    def migrate(self, changed: Mapping[str, SecretStr] = MappingProxyType({})) -> list[str]:
        """Apply the migrations; *changed* are passwords other than the server's accounts."""
        return apply(self.postgres.conninfo(), passwords(self.postgres) | dict(changed), self.databases)


@contextmanager
def fresh_sources(postgres: PostgresEndpoint) -> Iterator[Sources]:
    """Databases of random names, migrated, dropped at the end. No connector reads them."""
    mark = secrets.token_hex(4)
    sources = Sources(postgres, {"crm": f"crm_{mark}", "telemetry": f"telemetry_{mark}"})
    try:
        sources.migrate()
        yield sources
    finally:
        with psycopg.connect(**dict[str, Any](postgres.conninfo()), autocommit=True) as connection:
            for database in sources.databases.values():
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
