"""The source mapping: how the tables of a CRM and of a telemetry store become canonical events.

A mapping is a YAML file (``schemas/mappings/demo.yaml`` is the demo's). Another schema needs another file, not code: table and
column names, units, key types, the kinds' names, and the column that links a customer to a user are all here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

DEMO = Path(__file__).parent / "mappings" / "demo.yaml"

IdType = Literal["integer", "uuid"]
TimeUnit = Literal["timestamp", "epoch_s", "epoch_ms", "epoch_us"]
Facet = Literal["signal", "battery", "error", "location"]
Severity = Literal["info", "warning", "critical"]

MICROSECONDS: dict[TimeUnit, int] = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IdColumn(_Strict):
    """``uuid`` ids have no order, so every insert has to be looked up among those already seen (see ``docs/operations.md``)."""

    column: str
    type: IdType = "integer"


class TimeColumn(_Strict):
    column: str
    unit: TimeUnit = "timestamp"


class PlainColumn(_Strict):
    column: str


class KindColumn(_Strict):
    """The column that says which facet a row carries; *values* maps the source's words to facets."""

    column: str
    values: dict[str, Facet]


class SeverityColumn(_Strict):
    column: str
    values: dict[str, Severity]


class Amplitude(_Strict):
    column: str
    unit: Literal["uV", "mV", "V"] = "uV"

    @property
    def factor(self) -> int:
        """Canonical units (µV) in one of the source's."""
        return {"uV": 1, "mV": 1_000, "V": 1_000_000}[self.unit]


class Active(_Strict):
    column: str
    unit: Literal["ms", "s"] = "ms"

    @property
    def factor(self) -> int:
        """Canonical units (ms) in one of the source's."""
        return {"ms": 1, "s": 1_000}[self.unit]


class Battery(_Strict):
    column: str
    unit: Literal["bp", "percent", "fraction"] = "percent"

    @property
    def factor(self) -> int:
        """Canonical units (basis points) in one of the source's."""
        return {"bp": 1, "percent": 100, "fraction": 10_000}[self.unit]


class Angle(_Strict):
    column: str
    unit: Literal["degree", "microdegree"] = "degree"

    @property
    def factor(self) -> int:
        """Microdegrees in one of the source's units."""
        return {"degree": 1_000_000, "microdegree": 1}[self.unit]


class TelemetryTable(_Strict):
    """Without ``kind`` a row is wide: it carries every facet whose columns are not null."""

    table: str
    event_id: IdColumn
    prosthesis_id: IdColumn
    recorded_at: TimeColumn
    received_at: TimeColumn | None = None
    kind: KindColumn | None = None
    amplitude: Amplitude | None = None
    recognised: PlainColumn | None = None
    active: Active | None = None
    battery: Battery | None = None
    error_code: PlainColumn | None = None
    error_severity: SeverityColumn | None = None
    latitude: Angle | None = None
    longitude: Angle | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the mapping names, in its order."""
        named = (getattr(self, name) for name in type(self).model_fields if name != "table")
        return tuple(column.column for column in named if column is not None)

    @model_validator(mode="after")
    def _facets_are_whole(self) -> TelemetryTable:
        groups = {
            "signal": (self.amplitude, self.recognised, self.active),
            "error": (self.error_code, self.error_severity),
            "location": (self.latitude, self.longitude),
        }
        for facet, columns in groups.items():
            present = [column is not None for column in columns]
            if any(present) and not all(present):
                raise ValueError(f"telemetry: facet {facet!r} needs all of its columns or none")
        return self


class HeartbeatTable(_Strict):
    table: str


class CustomersTable(_Strict):
    table: str
    id: str
    user_id: str
    name: str
    timezone: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a row must have; null is another matter."""
        return self.id, self.user_id, self.name, self.timezone


class ContractsTable(_Strict):
    table: str
    id: str
    number: str
    customer_id: str
    prosthesis_id: str
    starts_at: TimeColumn
    ends_at: TimeColumn

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a row must have; null is another matter."""
        return self.id, self.number, self.customer_id, self.prosthesis_id, self.starts_at.column, self.ends_at.column


class ProsthesesTable(_Strict):
    table: str
    id: str
    model: str
    serial_number: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a row must have; null is another matter."""
        return self.id, self.model, self.serial_number


class Crm(_Strict):
    customers: CustomersTable
    contracts: ContractsTable
    prostheses: ProsthesesTable
    heartbeats: HeartbeatTable

    @model_validator(mode="after")
    def _ids_tell_tables_apart(self) -> Crm:
        """A record's key in ``crm.changes`` is its row's id under the column's name: of two tables with one name compaction would take the other's rows."""
        names = [table.id for table in (self.customers, self.contracts, self.prostheses)]
        if len(set(names)) < len(names):
            raise ValueError(f"crm: each table needs an id column of a name of its own, these are {', '.join(names)}")
        return self


class SourceMapping(_Strict):
    telemetry: TelemetryTable
    heartbeats: HeartbeatTable
    crm: Crm
    far_future_s: int = Field(default=86_400, gt=0, description="an event later than this after its row was received is invalid")

    @classmethod
    def read(cls, path: Path = DEMO) -> SourceMapping:
        """The mapping in *path*. Raises pydantic.ValidationError naming what is wrong, OSError where it cannot be read."""
        return cls.model_validate(yaml.safe_load(path.read_text("utf-8")))


def bare(table: str) -> str:
    """The table's name without its schema, as Debezium's ``source.table`` has it."""
    return table.rpartition(".")[2]


def signals_table(table: str) -> str:
    """Debezium's signal table, by which rows of *table* are asked for again: it stands in the same schema."""
    schema = table.rpartition(".")[0]
    return f"{schema}.debezium_signals" if schema else "debezium_signals"
