"""``python -m simulator.sources``: migrate the source databases once and exit; for containers and by hand.

Settings: ``BIONICPRO_POSTGRES_ADMIN__{HOST,PORT,DATABASE,USER,PASSWORD,SSLMODE}`` and ``BIONICPRO_SOURCE_PASSWORDS__<ROLE>`` for each role.
"""

from __future__ import annotations

import sys

import psycopg
from pydantic import SecretStr

from service_kit.settings import PostgresSettings, Section, ServiceSettings, load
from simulator.sources.migrate import MigrationError, apply


class SourcePasswords(Section):
    crm_owner: SecretStr
    crm_app: SecretStr
    telemetry_owner: SecretStr
    telemetry_ingest: SecretStr
    debezium: SecretStr
    auditor: SecretStr
    watcher: SecretStr


class Settings(ServiceSettings):
    postgres_admin: PostgresSettings
    source_passwords: SourcePasswords


def main() -> int:
    settings = load(Settings)
    passwords = {name: getattr(settings.source_passwords, name) for name in SourcePasswords.model_fields}
    try:
        changes = apply(settings.postgres_admin.conninfo(), passwords)
    except (MigrationError, psycopg.Error) as error:
        print(f"source migrations: {error}", file=sys.stderr)
        return 1
    print("\n".join(changes) or "nothing to change")
    return 0


sys.exit(main())
