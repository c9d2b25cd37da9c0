"""The eraser's settings: ``BIONICPRO_CLICKHOUSE__*`` (account ``eraser``, the shared database) and ``BIONICPRO_ERASER__*``."""

from __future__ import annotations

from pydantic import Field

from service_kit.settings import ClickHouseSettings, Section, ServiceSettings


class EraserSection(Section):
    """Times in seconds."""

    poll_s: float = Field(default=5.0, gt=0, description="how often rules without a receipt are looked for")
    settle_s: float = Field(
        default=180.0,
        ge=0,
        description="how long after the removal everything is looked for again: longer than the processor's session time-out and store deadline together",
    )
    sweep_s: float = Field(default=3600.0, gt=0, description="how often erasures that are finished are looked for again")
    files_s: float = Field(
        default=60.0, ge=0, description="when ClickHouse is told to delete the files of replaced parts: the tables' old_parts_lifetime"
    )
    mutation_deadline_s: float = Field(default=600.0, gt=0, description="how long ClickHouse may take to rewrite the parts of one table")
    store_deadline_s: float = Field(
        default=600.0, gt=0, description="how long ClickHouse may be away before the process ends and is started again"
    )


class EraserSettings(ServiceSettings):
    clickhouse: ClickHouseSettings
    eraser: EraserSection = EraserSection()
