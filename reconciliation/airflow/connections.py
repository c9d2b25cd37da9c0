"""Settings of a reconciliation out of Airflow's connections, wherever Airflow has them from: its environment, its database, or a secrets backend.

Connections: ``bionicpro_crm`` and ``bionicpro_telemetry`` (host, port, schema: the database, login, password; extra: ``sslmode``, ``sslrootcert``), ``bionicpro_clickhouse``
and ``bionicpro_outcomes`` (the same; extra: ``secure``, ``ca_file``), ``bionicpro_kafka`` (host: bootstrap servers; extra: ``security_protocol``, ``sasl_mechanism``, ``ssl_cafile``).
Limits, such as ``BIONICPRO_RECONCILIATION__WINDOW_EVENTS``, are variables of the environment, as the command's are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from reconciliation.settings import ReconciliationSection, ReconciliationSettings
from service_kit.settings import ClickHouseSettings

PREFIX = "BIONICPRO_RECONCILIATION__"
# What one task asks of PostgreSQL at once follows from these: smaller windows than the command's, since tasks run beside each other.
LIMITS = {"window_events": 1_000_000, "window_days": 31, "barrier_timeout_s": 300.0}


class AirflowConnection(Protocol):
    """What is read of Airflow's connection."""

    host: str | None
    port: int | None
    schema: str | None
    login: str | None
    password: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]: ...


def settings_of(connections: Mapping[str, AirflowConnection]) -> ReconciliationSettings:
    """Settings out of the four *connections* by id. Raises pydantic's ValidationError where one lacks something."""
    kafka = connections["bionicpro_kafka"]
    account = {"sasl_username": kafka.login, "sasl_password": kafka.password} if kafka.login else {}
    own = {name.removeprefix(PREFIX).lower(): value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return ReconciliationSettings(
        crm_db=_place(connections["bionicpro_crm"]),  # type: ignore[arg-type]  # validated by pydantic
        telemetry_db=_place(connections["bionicpro_telemetry"]),  # type: ignore[arg-type]
        clickhouse=clickhouse_of(connections["bionicpro_clickhouse"]),
        kafka={"bootstrap_servers": kafka.host, **account, **kafka.extra_dejson},  # type: ignore[arg-type]
        reconciliation=ReconciliationSection.model_validate(LIMITS | own),
    )


def clickhouse_of(connection: AirflowConnection) -> ClickHouseSettings:
    """Raises pydantic's ValidationError where it lacks something."""
    return ClickHouseSettings.model_validate(_place(connection))


def _place(connection: AirflowConnection) -> dict[str, Any]:
    found = {
        "host": connection.host,
        "port": connection.port,
        "database": connection.schema,
        "user": connection.login,
        "password": connection.password,
    }
    return {name: value for name, value in found.items() if value is not None} | connection.extra_dejson
