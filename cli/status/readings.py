"""What was seen of each part. Facts only: whether they are good is decided in ``judge``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cli.broker import Group, TopicPositions
from connectors.apply import ConnectorStatus
from connectors.checks import Check
from schemas.partition_progress import PartitionProgress


@dataclass(frozen=True)
class Unreachable:
    """A part that did not answer, or not as itself; *reason* is one line."""

    where: str
    reason: str


@dataclass(frozen=True)
class NotAsked:
    """A part whose address is not known; *variable* would tell it."""

    variable: str


@dataclass(frozen=True)
class Slot:
    """A replication slot. *wal_status* as PostgreSQL has it: reserved, extended, unreserved, lost. *retained_bytes* is unknown once lost."""

    name: str
    active: bool
    wal_status: str | None
    retained_bytes: int | None


@dataclass(frozen=True)
class Database:
    """A source database; *slot* is None where it does not exist. *unknown_zones*: customers by a time zone that the pinned database does not have."""

    version: str
    slot_name: str
    slot: Slot | None
    unknown_zones: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Kafka:
    """*topics*: those of the catalogue that exist. *committed*: the processor's offsets by topic and partition.

    *open_since*: where a transaction is open, the time of its first record.
    """

    cluster_id: str
    brokers: int
    wanted: Mapping[str, int]
    topics: Mapping[str, TopicPositions]
    group: Group
    committed: Mapping[str, Mapping[int, int]]
    open_since: Mapping[str, Mapping[int, datetime]] = field(default_factory=dict)


@dataclass(frozen=True)
class Connect:
    """*wanted*: names of the connectors that should run; *plugin*: the version of the connector's class."""

    version: str
    plugin: str
    wanted: tuple[str, ...]
    connectors: Mapping[str, ConnectorStatus]


@dataclass(frozen=True)
class ClickHouse:
    """*generation* None: readers see none yet; *begins*: where in the log its tables begin, by partition. *erasures*: those without a receipt, and when each was asked for."""

    version: str
    pending: tuple[str, ...]
    generation: int | None
    progress: tuple[PartitionProgress, ...]
    erasures: Mapping[str, datetime] = field(default_factory=dict)
    begins: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """The last look of `connectors watch` at each source, by its name."""

    checks: Mapping[str, Check]


@dataclass(frozen=True)
class DeadLetters:
    """*reasons* counts the newest *sampled* of all *count*."""

    count: int
    sampled: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Service:
    """An answer of a health endpoint: its HTTP status and what it says of what it needs (name: ``ok`` or what is wrong)."""

    where: str
    code: int
    components: Mapping[str, str]


Reading = Unreachable | NotAsked | Database | Kafka | Connect | ClickHouse | Sources | DeadLetters | Service
Readings = Mapping[str, Reading]
