"""The processor's settings: ``BIONICPRO_KAFKA__*``, ``BIONICPRO_CLICKHOUSE__*`` (the generation's database), ``BIONICPRO_PROCESSOR__*``."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field

from schemas.mapping import DEMO
from service_kit.settings import ClickHouseSettings, KafkaSettings, Section, ServiceSettings

MOST_BETWEEN_HEARTBEATS_S = 3.0
"""A worker hears at its next heartbeat that the group is being shared out anew."""


class ProcessorSection(Section):
    """*group* is the consumer group of the first generation (``schemas.generations.group_of`` has the others'); *instance_id*, where set, makes membership static: a restarted worker gets its partitions back at once."""

    group: str = "bionicpro-processor"
    instance_id: str | None = None
    mapping: Path = DEMO
    host: str = "127.0.0.1"
    port: int = 6066
    generation: int | None = Field(default=None, gt=0, description="the set of tables this worker writes; none: the one that readers see")
    data_dir: Path = Path(".local/processor")
    batch_interval_s: float = Field(default=0.1, ge=0, le=5, description="the least time between the beginnings of two batches")
    batch_records: int = Field(default=50_000, gt=0, description="records handled at once, and the most that wait")
    fetch_records: int = Field(default=5_000, gt=0, description="records of one fetch; eight fetches wait beside a batch")
    cached_states: int = Field(default=20_000, gt=0, description="about 2 KiB each; more than a worker has prostheses")
    store_deadline_s: float = Field(
        default=120, gt=0, description="how long ClickHouse may be away before the worker ends and is started again"
    )
    dead_letters_per_minute: int = Field(
        default=10_000,
        gt=0,
        description="more than this stop the processor",
        validation_alias=AliasChoices("dead_letters_per_minute", "dead_letters_a_minute"),  # the name of an earlier version
    )
    session_timeout_s: float = Field(
        default=30.0,
        ge=6,
        le=300,
        description="a worker silent for longer loses its place in the group; one with an instance_id that is killed and started again keeps it",
    )

    @property
    def heartbeat_s(self) -> float:
        return min(MOST_BETWEEN_HEARTBEATS_S, self.session_timeout_s / 3)

    @property
    def standstill_s(self) -> float:
        """How long the process may stand still and be certain to have its place: the group waits from the last heartbeat on, which may have been an interval before."""
        return self.session_timeout_s - self.heartbeat_s


class ProcessorSettings(ServiceSettings):
    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings
    processor: ProcessorSection = ProcessorSection()
