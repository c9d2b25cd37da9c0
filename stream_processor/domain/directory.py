"""The directory: changes of the CRM in, ownership documents out.

It emits, it does not compare: every record makes the whole document of each prosthesis it concerns go out again, with the record's offset. So a crash, a
replay or a stale table cannot hide a change; receivers ignore offsets below the one they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.mapping import SourceMapping, TimeColumn, bare
from schemas.ownership import Ownership, OwnershipDocument
from stream_processor.domain.calendar import is_zone
from stream_processor.domain.instants import NotAnInstant, read_times
from stream_processor.domain.ownership import Contract, effective_intervals

Row = dict[str, Any]
OPEN_ENDED = frozenset({None, "infinity"})


class _Source(msgspec.Struct):
    table: str = ""
    ts_ms: int = 0


class CrmEnvelope(msgspec.Struct):
    """A Debezium envelope of any CRM table."""

    op: str
    source: _Source
    before: Row | None = None
    after: Row | None = None


decode_crm = msgspec.json.Decoder(CrmEnvelope).decode


@dataclass(frozen=True, slots=True)
class Handled:
    """What one CRM record leads to: the documents to send, whether it was a heartbeat, and a reason where it could not be used."""

    documents: list[OwnershipDocument]
    error: str | None = None


class Directory:
    """CRM rows in a table (``customers:7`` → row), with the indexes that joins need, both made anew by ``restore`` at each assignment.

    *table* is any mutable mapping of text to row; in the worker it is Faust's.
    """

    def __init__(self, mapping: SourceMapping, table: MutableMapping[str, Row]) -> None:
        self._crm = mapping.crm
        self._table = table
        self._contracts_of_customer: dict[str, set[str]] = {}
        self._contracts_of_prosthesis: dict[str, set[str]] = {}
        crm = mapping.crm
        self._kinds = {
            bare(crm.customers.table): "customers",
            bare(crm.contracts.table): "contracts",
            bare(crm.prostheses.table): "prostheses",
        }
        self._ids = {"customers": crm.customers.id, "contracts": crm.contracts.id, "prostheses": crm.prostheses.id}

    def rows_after(self, changes: Iterable[CrmEnvelope]) -> dict[str, Row]:
        """What *changes*, all there were, leave in the table. Touches nothing, so it may run in any thread."""
        rows: dict[str, Row] = {}
        for change in changes:
            key, row = self._placed(change)
            if key is None or row is None:
                continue
            if change.op == "d":
                rows.pop(key, None)
            else:
                rows[key] = row
        return rows

    def restore(self, rows: dict[str, Row]) -> None:
        """Make the table *rows*, see ``rows_after``. Needed at each assignment. Only rows that differ are written.

        A changelog alone does not tell: a worker that lost the directory without knowing may have written to it after its successor, and so what is
        recovered may be older than what was said.
        """
        for key in [key for key in self._table if key not in rows]:
            self._table.pop(key, None)
        for key, row in rows.items():
            if self._table.get(key) != row:
                self._table[key] = row
        self._index()

    def _placed(self, change: CrmEnvelope) -> tuple[str | None, Row | None]:
        """The key in the table of the row that a change is about, and the row; None where there is none."""
        kind = self._kinds.get(change.source.table)
        row = change.after if change.op != "d" else change.before
        if kind is None or row is None or row.get(self._ids[kind]) is None:
            return None, None
        return f"{kind}:{row[self._ids[kind]]}", row

    def _index(self) -> None:
        """Build the indexes from the table."""
        self._contracts_of_customer.clear()
        self._contracts_of_prosthesis.clear()
        for key, row in self._table.items():
            if key.startswith("contracts:"):
                self._link(key, row)

    def handle(self, envelope: CrmEnvelope, offset: int) -> Handled:
        """Take one change in and say what goes out. Handling it again gives documents at least as new."""
        kind = self._kinds.get(envelope.source.table)
        if kind is None:
            return Handled([])
        key, row = self._placed(envelope)
        if key is None or row is None:
            return Handled([], f"{envelope.source.table}: op {envelope.op!r} without a row or its id")
        concerned = self._concerned(kind, key, row)
        if envelope.op == "d":
            self._forget(kind, key)
        else:
            self._remember(kind, key, row)
        concerned |= self._concerned(kind, key, row)
        return Handled([self.document(prosthesis_id, offset) for prosthesis_id in sorted(concerned)])

    def document(self, prosthesis_id: str, offset: int) -> OwnershipDocument:
        """The whole ownership of one prosthesis, as the table has it now."""
        prosthesis = self._table.get(f"prostheses:{prosthesis_id}") or {}
        columns = self._crm.prostheses
        contracts = (self._contract(key) for key in sorted(self._contracts_of_prosthesis.get(prosthesis_id, ())))
        intervals = effective_intervals(contract for contract in contracts if contract is not None)
        model, serial = (str(prosthesis.get(name) or "") for name in (columns.model, columns.serial_number))
        return OwnershipDocument(prosthesis_id, offset, model, serial, intervals)

    def _contract(self, key: str) -> Contract | None:
        """A contract joined with its customer; None where it owns nothing: no such customer, no user, no beginning."""
        row, columns = self._table[key], self._crm.contracts
        customer = self._table.get(f"customers:{row.get(columns.customer_id)}")
        if customer is None or customer.get(self._crm.customers.user_id) is None:
            return None
        begins = _instant(row.get(columns.starts_at.column), columns.starts_at)
        ends_at = row.get(columns.ends_at.column)
        ends = None if ends_at in OPEN_ENDED else _instant(ends_at, columns.ends_at)
        if begins is None or (ends is None and ends_at not in OPEN_ENDED):
            return None
        return Contract(_rank(row[columns.id]), self._interval(row, customer, begins, ends))

    def _interval(self, row: Row, customer: Row, begins: int, ends: int | None) -> Ownership:
        of, columns = self._crm.customers, self._crm.contracts
        timezone = str(customer.get(of.timezone) or "")
        return Ownership(
            starts_us=begins,
            ends_us=ends,
            user_id=str(customer[of.user_id]),
            customer_id=str(customer[of.id]),
            customer_name=str(customer.get(of.name) or ""),
            timezone=timezone if is_zone(timezone) else "UTC",
            contract_id=str(row[columns.id]),
            contract_number=str(row.get(columns.number) or ""),
        )

    def _concerned(self, kind: str, key: str, row: Row) -> set[str]:
        """The prostheses that a row has to do with: by the table's content, and by the row's own."""
        if kind == "prostheses":
            return {key.partition(":")[2]}
        if kind == "customers":
            contracts = self._contracts_of_customer.get(key, set())
            return {p for contract in contracts for p in self._prosthesis_of(self._table.get(contract))}
        return set(self._prosthesis_of(self._table.get(key))) | set(self._prosthesis_of(row))

    def _prosthesis_of(self, contract: Row | None) -> Iterator[str]:
        value = None if contract is None else contract.get(self._crm.contracts.prosthesis_id)
        if value is not None:
            yield str(value)

    def _remember(self, kind: str, key: str, row: Row) -> None:
        if kind == "contracts":
            self._unlink(key)
            self._link(key, row)
        self._table[key] = row

    def _forget(self, kind: str, key: str) -> None:
        if kind == "contracts":
            self._unlink(key)
        self._table.pop(key, None)

    def _link(self, key: str, row: Row) -> None:
        self._contracts_of_customer.setdefault(f"customers:{row.get(self._crm.contracts.customer_id)}", set()).add(key)
        for prosthesis_id in self._prosthesis_of(row):
            self._contracts_of_prosthesis.setdefault(prosthesis_id, set()).add(key)

    def _unlink(self, key: str) -> None:
        row = self._table.get(key)
        if row is None:
            return
        self._contracts_of_customer.get(f"customers:{row.get(self._crm.contracts.customer_id)}", set()).discard(key)
        for prosthesis_id in self._prosthesis_of(row):
            self._contracts_of_prosthesis.get(prosthesis_id, set()).discard(key)


def _instant(value: Any, column: TimeColumn) -> int | None:
    try:
        return int(read_times([value], column)[0])
    except (NotAnInstant, ValueError, TypeError, OverflowError):
        return None


def _rank(contract_id: Any) -> tuple[int, str]:
    """Integers order by value, other ids by text."""
    text = str(contract_id)
    return (int(text), "") if text.isdigit() else (0, text)
