"""Records of ``crm.changes`` (a change of any table of the CRM, or an operator's request for an erasure), and the CRM's rows as typed values.

``CrmReader`` is the one place that knows the CRM's columns by the mapping: everything behind it works on ``Customer``, ``CrmContract`` and ``Prosthesis``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas.dead_letters import ABSENT_COLUMN, WITHOUT_IDENTITY
from schemas.erasure import ErasureRequest
from schemas.keys import TABLE_FIELD, crm_topic
from schemas.mapping import ContractsTable, Crm, CustomersTable, ProsthesesTable, bare
from schemas.ranges import END_US

SourceRow = dict[str, Any]
"""A row of any table of the CRM as it came, by the source's column names."""


class _Source(msgspec.Struct):
    table: str = ""
    ts_ms: Annotated[int, Meta(ge=0, le=END_US // 1000)] = 0
    ts_us: Annotated[int, Meta(ge=0, le=END_US)] | None = None


class CrmEnvelope(msgspec.Struct):
    """A Debezium envelope of any CRM table."""

    op: str
    source: _Source
    before: SourceRow | None = None
    after: SourceRow | None = None

    @property
    def committed_us(self) -> int:
        """When the CRM committed the change, in microseconds since the epoch."""
        return self.source.ts_us or self.source.ts_ms * 1000

    @property
    def is_delete(self) -> bool:
        return self.op == "d"

    @property
    def row(self) -> SourceRow | None:
        """The row that the change is about: what came, or what went."""
        return self.before if self.is_delete else self.after


class _Kind(msgspec.Struct):
    type: str | None = None


_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_envelope = msgspec.json.Decoder(CrmEnvelope).decode
_decode_request = msgspec.json.Decoder(ErasureRequest).decode


def decode_crm(value: bytes) -> CrmEnvelope | ErasureRequest:
    """A record of ``crm.changes``. Raises msgspec.DecodeError for anything that is neither."""
    return _decode_envelope(value) if _decode_kind(value).type is None else _decode_request(value)


class CrmTable(StrEnum):
    """The tables of the CRM that the directory is made from."""

    CUSTOMERS = "customers"
    CONTRACTS = "contracts"
    PROSTHESES = "prostheses"


@dataclass(frozen=True, slots=True)
class Customer:
    """*user_id* None: the customer has no login, and so owns no report."""

    id: str
    user_id: str | None
    name: str
    timezone: str


@dataclass(frozen=True, slots=True)
class CrmContract:
    """*starts_at* and *ends_at* as the source tells them: ``domain.contracts`` reads them. None for what is null."""

    id: str
    number: str
    customer_id: str | None
    prosthesis_id: str | None
    starts_at: Any
    ends_at: Any


@dataclass(frozen=True, slots=True)
class Prosthesis:
    id: str
    model: str
    serial_number: str


CrmRow = Customer | CrmContract | Prosthesis


class UnusableChange(ValueError):  # noqa: N818 - named for what it is
    """A change of the CRM from which nothing may be concluded; *reason* is its dead letter's."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class CrmReader:
    """Reads the CRM's rows by a mapping. Pure."""

    def __init__(self, crm: Crm) -> None:
        self._tables: dict[CrmTable, CustomersTable | ContractsTable | ProsthesesTable] = {
            CrmTable.CUSTOMERS: crm.customers,
            CrmTable.CONTRACTS: crm.contracts,
            CrmTable.PROSTHESES: crm.prostheses,
        }
        self._by_name = {bare(columns.table): table for table, columns in self._tables.items()}
        self._crm = crm

    @property
    def contracts(self) -> ContractsTable:
        """The columns of contracts, with the units of their times."""
        return self._crm.contracts

    @property
    def customers(self) -> CustomersTable:
        return self._crm.customers

    def table_of(self, change: CrmEnvelope) -> CrmTable | None:
        """The table that *change* is of; None for one that the directory does not read."""
        return self._by_name.get(change.source.table)

    def end_of(self, key: bytes | None, at_ms: int) -> CrmEnvelope | None:
        """The delete, at *at_ms*, of the row under *key*, of which nothing else is told; None where it is no row of these tables."""
        try:
            named = msgspec.json.decode(key or b"", type=dict[str, Any])
        except ValueError:
            return None
        table = named.pop(TABLE_FIELD, None)
        for columns in self._tables.values():
            if table == crm_topic(columns.table) and named.keys() == {columns.id}:
                return CrmEnvelope("d", _Source(bare(columns.table), at_ms), dict.fromkeys(columns.columns) | named)
        return None

    def renumbered(self, customer: SourceRow, key: bytes | None) -> SourceRow | None:
        """The row *customer* under its new *key*; None where that is no customer's, or has the same number."""
        try:
            named = msgspec.json.decode(key or b"", type=dict[str, Any])
        except ValueError:
            return None
        number = named.get(self.customers.id)
        return None if number in (None, customer[self.customers.id]) else customer | {self.customers.id: number}

    def row_id(self, table: CrmTable, change: CrmEnvelope) -> str:
        """The id of the row that *change* is about. Raises UnusableChange where it tells none."""
        row, column = change.row, self._tables[table].id
        if row is not None and row.get(column) is not None:
            return str(row[column])
        reason = WITHOUT_IDENTITY if change.is_delete else "invalid-row"
        if row is not None and column not in row:
            reason = ABSENT_COLUMN
        raise UnusableChange(f"{change.source.table}: op {change.op!r} without a row or its id", reason)

    def read(self, table: CrmTable, row: SourceRow) -> CrmRow:
        """*row* as a typed value. Raises UnusableChange where it lacks a column: that is not null, but renamed or dropped, and nothing is known of its value."""
        if names := [name for name in self._tables[table].columns if name not in row]:
            raise UnusableChange(f"{table}: the row has no column {', '.join(names)}: what was known stays", ABSENT_COLUMN)
        match table:
            case CrmTable.CUSTOMERS:
                of = self._crm.customers
                return Customer(str(row[of.id]), _optional(row[of.user_id]), str(row[of.name] or ""), str(row[of.timezone] or ""))
            case CrmTable.CONTRACTS:
                return self.contract(row)
            case CrmTable.PROSTHESES:
                kinds = self._crm.prostheses
                return Prosthesis(str(row[kinds.id]), str(row[kinds.model] or ""), str(row[kinds.serial_number] or ""))

    def contract(self, row: SourceRow) -> CrmContract:
        """A contract's row; columns that it lacks count as null, which is all that the old content of an update may be good for."""
        of = self._crm.contracts
        return CrmContract(
            id=str(row.get(of.id)),
            number=str(row.get(of.number) or ""),
            customer_id=_optional(row.get(of.customer_id)),
            prosthesis_id=_optional(row.get(of.prosthesis_id)),
            starts_at=row.get(of.starts_at.column),
            ends_at=row.get(of.ends_at.column),
        )

    def user_id(self, customer: SourceRow) -> str | None:
        """The user of a customer's row, which may lack other columns."""
        return _optional(customer.get(self._crm.customers.user_id))

    def stored(self, table: CrmTable, row: SourceRow) -> SourceRow:
        """What of *row* is worth keeping: the mapped columns, and nothing else that the CRM says of a person."""
        return {name: row[name] for name in self._tables[table].columns}


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
