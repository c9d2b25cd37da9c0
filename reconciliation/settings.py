"""Settings of ``bionicpro verify`` and ``bionicpro repair``. Every account is ``auditor``: it reads everything and changes only barriers and signals."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from schemas.mapping import DEMO
from service_kit.settings import ClickHouseSettings, KafkaSettings, PostgresSettings, Section, ServiceSettings


class ReconciliationSection(Section):
    """How long and how often; times in seconds."""

    mapping: Path = DEMO
    rounds: int = Field(
        default=8, ge=2, description="how often a row that differs is looked at before it is called different or unverified"
    )
    backoff_s: float = Field(default=0.2, ge=0, description="pause before the second round; it doubles with each, up to 5 s")
    barrier_timeout_s: float = Field(default=60.0, gt=0, description="how long the pipeline may take to handle a barrier")
    window_events: int = Field(default=2_000_000, gt=0, description="events recomputed by one query")
    window_days: int = Field(default=92, gt=0, description="days recomputed by one query")
    allow_unverified: bool = False
    repair_timeout_s: float = Field(default=300.0, gt=0, description="how long none of the rows that were asked for again may arrive")
    repair_rows: int = Field(
        default=200_000, gt=0, description="differing events after which a repair mends what it has found before it looks at more days"
    )
    gap_rows: int = Field(
        default=1_000,
        gt=0,
        description="events of a window that are missing by whole days of prostheses, from which on such days are read again as a whole and not by id",
    )
    repair_portion: int = Field(default=20_000, gt=0, description="rows asked for at once")


class ReconciliationSettings(ServiceSettings):
    crm_db: PostgresSettings
    telemetry_db: PostgresSettings
    clickhouse: ClickHouseSettings
    kafka: KafkaSettings
    reconciliation: ReconciliationSection = ReconciliationSection()
