"""Settings of ``bionicpro status``. Accounts: ``auditor`` everywhere. What has no address is not asked, and said to be so."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from service_kit.settings import (
    ClickHouseSettings,
    ConnectSettings,
    KafkaSettings,
    KeycloakSettings,
    PostgresSettings,
    Section,
    ServiceSettings,
)
from stream_processor.settings import ProcessorSection


class StatusSection(Section):
    """``BIONICPRO_STATUS__…``: addresses (without path) of the services that are asked for their health, and what is still called well."""

    reports_url: str | None = None
    bff_url: str | None = None
    keycloak_management_url: str | None = None
    instance: Path | None = Field(default=None, description="folder of an instance of local/: only what its supervisor started is asked")
    deadline_s: float = Field(default=8.0, gt=0, le=120, description="within which a part has to answer")
    max_age_s: float = Field(default=10.0, gt=0, description="older data is stale")
    max_lag: int = Field(default=20_000, ge=0, description="records of one topic that may wait for the processor")
    max_transaction_s: float = Field(
        default=180.0, gt=0, description="how long a transaction of a connector may be open; Kafka ends it after 60"
    )
    max_slot_bytes: int = Field(default=1 << 30, ge=0, description="WAL that a replication slot may keep from being removed")
    max_check_age_s: float = Field(default=60.0, gt=0, description="within which both sources must have been looked at")
    max_erasure_s: float = Field(default=900.0, gt=0, description="within which an erasure must have its receipt")
    max_dead_letters: int = Field(default=0, ge=0)


class StatusSettings(ServiceSettings):
    crm_db: PostgresSettings
    telemetry_db: PostgresSettings
    kafka: KafkaSettings = KafkaSettings()
    connect: ConnectSettings = ConnectSettings()
    clickhouse: ClickHouseSettings
    keycloak: KeycloakSettings | None = None
    processor: ProcessorSection | None = None
    status: StatusSection = StatusSection()

    @property
    def group(self) -> str:
        """The consumer group of the first generation's workers."""
        return (self.processor or ProcessorSection()).group
