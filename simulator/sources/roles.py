"""The accounts of the source databases, made without any password in a statement or a server log."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import Connection, sql
from pydantic import SecretStr


@dataclass(frozen=True)
class Role:
    """A login. *schemas*: it may connect to the databases that hold these; *replication* lets it stream changes."""

    name: str
    schemas: tuple[str, ...]
    replication: bool = False


ROLES = (
    Role("crm_owner", ("crm",)),
    Role("crm_app", ("crm",)),
    Role("telemetry_owner", ("telemetry",)),
    Role("telemetry_ingest", ("telemetry",)),
    Role("debezium", ("crm", "telemetry"), replication=True),
    Role("auditor", ("crm", "telemetry")),
    Role("watcher", ("crm", "telemetry")),
)


def apply_roles(connection: Connection[tuple[object, ...]], passwords: Mapping[str, SecretStr]) -> list[str]:
    """Make every role exist with its attributes and password; returns what was changed. Idempotent.

    *connection* is a superuser's. Raises KeyError where *passwords* lacks a role.
    """
    changes: list[str] = []
    for role in ROLES:
        changes += apply_role(connection, role, passwords[role.name].get_secret_value())
    return changes


def apply_role(connection: Connection[tuple[object, ...]], role: Role, password: str) -> list[str]:
    """Make *role* exist with its attributes and *password*; returns what was changed. Idempotent. *connection* is a superuser's."""
    found = connection.execute(
        "SELECT a.rolpassword, a.rolreplication, a.rolsuper OR a.rolcreatedb OR a.rolcreaterole OR a.rolbypassrls OR NOT a.rolcanlogin"
        " FROM pg_authid a WHERE a.rolname = %s",
        (role.name,),
    ).fetchone()
    if found is not None and found[1] == role.replication and not found[2] and verifier_matches(str(found[0]), password):
        return []
    # What is sent is the SCRAM verifier, computed here: the password itself never reaches the server or its log.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.name.encode(), b"scram-sha-256").decode()
    statement = sql.SQL(
        "{verb} ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS {replication} PASSWORD {verifier}"
    ).format(
        verb=sql.SQL("CREATE" if found is None else "ALTER"),
        name=sql.Identifier(role.name),
        replication=sql.SQL("REPLICATION" if role.replication else "NOREPLICATION"),
        verifier=sql.Literal(verifier),
    )
    connection.execute(statement)
    return [f"role {role.name} {'created' if found is None else 'altered'}"]


def verifier_matches(verifier: str, password: str) -> bool:
    """Whether *verifier* (``SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>``, RFC 5803) was made of *password*.

    False for any other text, and for a password that SASLprep would change (it is then simply set again).
    """
    scheme, _, rest = verifier.partition("$")
    parameters, _, keys = rest.partition("$")
    iterations, _, salt = parameters.partition(":")
    if scheme != "SCRAM-SHA-256" or not iterations.isdigit():
        return False
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    return hmac.compare_digest(stored, keys.partition(":")[0])
