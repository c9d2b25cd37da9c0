"""``python -m simulator.sources``: migrate the source databases once and exit; for containers and by hand.

Settings: ``BIONICPRO_POSTGRES_ADMIN__{HOST,PORT,DATABASE,USER,PASSWORD,SSLMODE}`` and ``BIONICPRO_SOURCE_PASSWORDS__<ROLE>`` for each role.
With ``BIONICPRO_SOURCE_PASSWORDS__AIRFLOW`` there is a database for Airflow's records too.
"""

from __future__ import annotations

import sys

import psycopg
from pydantic import SecretStr

from service_kit.settings import PostgresSettings, Section, ServiceSettings, load
from simulator.sources.airflow_records import make_airflow_records
from simulator.sources.migrate import MigrationError, apply
from simulator.sources.roles import ROLES


class SourcePasswords(Section):
    crm_owner: SecretStr
    crm_app: SecretStr
    telemetry_owner: SecretStr
    telemetry_ingest: SecretStr
    debezium: SecretStr
    auditor: SecretStr
    watcher: SecretStr
    airflow: SecretStr | None = None


class Settings(ServiceSettings):
    postgres_admin: PostgresSettings
    source_passwords: SourcePasswords


def main() -> int:
    settings = load(Settings)
    superuser, airflow = settings.postgres_admin.conninfo(), settings.source_passwords.airflow
    passwords = {role.name: getattr(settings.source_passwords, role.name) for role in ROLES}
    try:
        changes = apply(superuser, passwords)
        if airflow is not None:
            changes += make_airflow_records(superuser, airflow)
    except (MigrationError, psycopg.Error) as error:
        print(f"source migrations: {error}", file=sys.stderr)
        return 1
    print("\n".join(changes) or "nothing to change")
    return 0


sys.exit(main())
