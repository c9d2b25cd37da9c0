"""Airflow's account and the database of its records, on the same server as the sources and apart from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from simulator.sources.roles import Role, apply_role

ROLE = Role("airflow", ())
DATABASE = "airflow"


def make_airflow_records(superuser: Mapping[str, Any], password: SecretStr) -> list[str]:
    """Make the account, and a database in which it may do everything, and it alone; returns what was changed. Idempotent.

    *superuser*: keyword arguments of ``psycopg.connect`` (its ``dbname`` is not used). Raises psycopg.Error.
    """
    with psycopg.connect(**{**superuser, "dbname": "postgres"}, autocommit=True) as connection:
        changes = apply_role(connection, ROLE, password.get_secret_value())
        name = sql.Identifier(DATABASE)
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            statement = "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0"
            connection.execute(sql.SQL(statement).format(name, sql.Identifier(ROLE.name)))
            changes.append(f"database {DATABASE} created")
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    return changes
