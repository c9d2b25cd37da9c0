"""The directory: changes of the CRM in, ownership documents out.

A prosthesis with a contract whose bounds cannot be read gets no document: the ownership in force stays, and every change that concerns it is told as an error, until
the row is mended. It emits, it does not compare: every record makes the whole document of each prosthesis it concerns go out again, with the record's offset. So a crash, a
replay or a stale table cannot hide a change; receivers ignore offsets below the one they have.

A customer who is deleted is erased: every prosthesis that was ever theirs gets an ``Erase`` command. Which time that is, is decided once and kept in the table under the
record's offset, so that handling the record again gives the same commands. Deleted contracts stay in the table, as ids and instants, until their customer goes; so does, as
two ids, that a prosthesis was a customer's by a contract that was then corrected to another customer or prosthesis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field

from schemas.commands import Erase
from schemas.dead_letters import ABSENT_COLUMN, WITHOUT_IDENTITY
from schemas.erasure import ErasureRequest, erasure_id, subject_of
from schemas.keys import prosthesis_key
from schemas.mapping import SourceMapping, bare
from schemas.ownership import Ownership, OwnershipDocument
from schemas.ranges import EARLIEST_US
from schemas.zones import in_force
from stream_processor.domain.calendar import HOUR_US
from stream_processor.domain.contracts import UnreadableBounds, bounds_or_all, named_bounds, rank
from stream_processor.domain.crm import CrmEnvelope, CrmRow
from stream_processor.domain.erasure import Claim, erased_intervals
from stream_processor.domain.ownership import Contract, effective_intervals, in_one_zone

# Foreign keys make a CRM delete contracts before their customer: so shortly before, that the one belongs to the other.
TOGETHER_US = 24 * HOUR_US
CUSTOMER_DELETED, OPERATOR = "customer deleted", "operator"
# What the table keeps beyond the CRM's rows, by the beginning of its keys.
FORMER, HELD, ERASED = "former:", "held:", "erased:"


@dataclass(frozen=True, slots=True)
class Handled:
    """What one CRM record leads to: the documents to send, the erasures to send after them, and where it could not be used what is wrong, and the reason of its dead letter."""

    documents: list[OwnershipDocument]
    error: str | None = None
    reason: str = "invalid-row"
    erasures: list[Erase] = field(default_factory=list)


class Directory:
    """CRM rows in a table (``customers:7`` → row), with the indexes that joins need, both made anew by ``restore`` at each assignment.

    *table* is any mutable mapping of text to row; in the worker it is Faust's, whose changelog keeps what the CRM's own log need not: deleted contracts
    of customers who are still there (``former:``), whose prostheses were by contracts that were corrected (``held:``), and which time an erasure was decided to be
    (``erased:``).
    """

    def __init__(self, mapping: SourceMapping, table: MutableMapping[str, CrmRow]) -> None:
        self._crm = mapping.crm
        self._table = table
        self._contracts_of_customer: dict[str, set[str]] = {}
        self._contracts_of_prosthesis: dict[str, set[str]] = {}
        self._former_of_customer: dict[str, set[str]] = {}
        self._held_by_customer: dict[str, set[str]] = {}
        crm = mapping.crm
        self._kinds = {
            bare(crm.customers.table): "customers",
            bare(crm.contracts.table): "contracts",
            bare(crm.prostheses.table): "prostheses",
        }
        self._ids = {"customers": crm.customers.id, "contracts": crm.contracts.id, "prostheses": crm.prostheses.id}
        self._columns = {"customers": crm.customers.columns, "contracts": crm.contracts.columns, "prostheses": crm.prostheses.columns}

    def rows_after(self, changes: Iterable[CrmEnvelope]) -> dict[str, CrmRow]:
        """What *changes*, all there were, leave in the table. Touches nothing, so it may run in any thread. What cannot be used was a dead letter and leaves nothing."""
        rows: dict[str, CrmRow] = {}
        for change in changes:
            with suppress(Exception):
                self._take_in(change, rows)
        return {key: row for key, row in rows.items() if self._is_kept(key, row, rows)}

    def _take_in(self, change: CrmEnvelope, rows: dict[str, CrmRow]) -> None:
        key, row = self._placed(change)
        if key is None or row is None:
            return
        kind, _, number = key.partition(":")
        if change.op != "d" and self._absent(kind, row):
            # Compaction may have taken the record with the row's last whole content.
            if key not in rows and (known := self._table.get(key)) is not None and not self._absent(kind, known):
                rows[key] = known
        elif change.op != "d":
            rows.update(self._held(kind, rows.get(key), change))
            rows[key] = row
        else:
            gone = rows.pop(key, row)
            if kind == "contracts":
                rows.update(self._former(key, gone, change.committed_us))
        if kind == "contracts" and change.op != "d":
            rows.pop(FORMER + number, None)

    def restore(self, rows: dict[str, CrmRow]) -> None:
        """Make the table *rows*, see ``rows_after``. Needed at each assignment. Only rows that differ are written.

        A changelog alone does not tell: a worker that lost the directory without knowing may have written to it after its successor, and so what is
        recovered may be older than what was said. What the CRM's compacted log may have lost is kept.
        """
        for key, row in list(self._table.items()):
            if key not in rows and not (key.startswith((FORMER, HELD, ERASED)) and self._is_kept(key, row, rows)):
                self._table.pop(key, None)
        for key, row in rows.items():
            if self._table.get(key) != row:
                self._table[key] = row
        self._index()

    @staticmethod
    def _is_kept(key: str, row: CrmRow, rows: dict[str, CrmRow]) -> bool:
        """What was a customer's counts for as long as the customer is there, a deleted contract only while it is deleted."""
        if not key.startswith((FORMER, HELD)):
            return True
        back = key.startswith(FORMER) and f"contracts:{key.partition(':')[2]}" in rows
        return f"customers:{row['customer_id']}" in rows and not back

    def _placed(self, change: CrmEnvelope) -> tuple[str | None, CrmRow | None]:
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
        self._former_of_customer.clear()
        self._held_by_customer.clear()
        for key, row in self._table.items():
            if key.startswith("contracts:"):
                self._link(key, row)
            elif key.startswith(FORMER):
                self._former_of_customer.setdefault(f"customers:{row['customer_id']}", set()).add(key)
            elif key.startswith(HELD):
                self._held_by_customer.setdefault(f"customers:{row['customer_id']}", set()).add(key)

    def handle(self, envelope: CrmEnvelope, offset: int, *, key_changed: bool = False) -> Handled:
        """Take one change in and say what goes out. Handling it again gives documents at least as new, and the same erasures.

        *key_changed*: the delete is the first half of a changed primary key, so nothing has gone.
        """
        kind = self._kinds.get(envelope.source.table)
        if kind is None:
            return Handled([])
        key, row = self._placed(envelope)
        if key is None or row is None:
            return Handled([], f"{envelope.source.table}: op {envelope.op!r} without a row or its id", reason=self._reason(kind, envelope))
        if envelope.op == "d":
            # What is known of the row is whole, whatever the table's replica identity.
            row = self._table.get(key, row)
        if names := self._absent(kind, row):
            return Handled(
                [], f"{envelope.source.table}: the row has no column {', '.join(names)}: what was known stays", reason=ABSENT_COLUMN
            )
        concerned = self._concerned(kind, key, row)
        erasures: list[Erase] = []
        if envelope.op != "d":
            self._keep_held(self._held(kind, self._table.get(key), envelope))
            self._remember(kind, key, row)
        else:
            if kind == "customers" and not key_changed:
                erasures = self._erase(key, row, offset, envelope.committed_us, CUSTOMER_DELETED)
                self._forget_what_was(key)
            elif kind == "contracts" and not key_changed:
                self._keep_former(key, self._table.get(key) or row, envelope.committed_us)
            self._forget(kind, key)
        concerned |= self._concerned(kind, key, row)
        documents, errors = self._documents(concerned, offset)
        return Handled(documents, "; ".join(errors) or None, erasures=erasures)

    def _absent(self, kind: str, row: CrmRow) -> list[str]:
        """The mapped columns that *row* has not at all. That is not null: they were renamed or dropped, and nothing may be concluded from it."""
        return [name for name in self._columns[kind] if name not in row]

    def _reason(self, kind: str, envelope: CrmEnvelope) -> str:
        """Why a change has no row or no id."""
        row = envelope.after if envelope.op != "d" else envelope.before
        if row is not None and self._ids[kind] not in row:
            return ABSENT_COLUMN
        return WITHOUT_IDENTITY if envelope.op == "d" else "invalid-row"

    def request(self, request: ErasureRequest, offset: int) -> Handled:
        """An operator's erasure of a customer whom the CRM keeps. Of a customer who is not known there is nothing to erase."""
        key = f"customers:{request.customer_id}" if request.customer_id else self._customer_of_user(request.user_id)
        customer = self._table.get(key)
        if customer is None:
            return Handled([])
        return Handled([], erasures=self._erase(key, customer, offset, request.issued_us, OPERATOR))

    def _documents(self, prostheses: set[str], offset: int) -> tuple[list[OwnershipDocument], list[str]]:
        """The documents of *prostheses*, and why some get none."""
        documents, errors = [], []
        for prosthesis_id in sorted(prostheses):
            try:
                prosthesis_key(prosthesis_id)
                documents.append(self.document(prosthesis_id, offset))
            except ValueError as error:  # no id of a prosthesis, or UnreadableBounds
                errors.append(f"prosthesis {prosthesis_id[:64]!r}: {error}")
        return documents, errors

    def document(self, prosthesis_id: str, offset: int) -> OwnershipDocument:
        """The whole ownership of one prosthesis, as the table has it now. Raises UnreadableBounds, naming the contract."""
        prosthesis = self._table.get(f"prostheses:{prosthesis_id}") or {}
        columns = self._crm.prostheses
        contracts = (self._contract(key) for key in sorted(self._contracts_of_prosthesis.get(prosthesis_id, ())))
        intervals = in_one_zone(effective_intervals(contract for contract in contracts if contract is not None))
        model, serial = (str(prosthesis.get(name) or "") for name in (columns.model, columns.serial_number))
        return OwnershipDocument(prosthesis_id, offset, model, serial, intervals)

    def _contract(self, key: str) -> Contract | None:
        """A contract joined with its customer; None where it owns nothing: no such customer, no user, no beginning."""
        row, columns = self._table[key], self._crm.contracts
        customer = self._table.get(f"customers:{row.get(columns.customer_id)}")
        if customer is None or customer.get(self._crm.customers.user_id) is None:
            return None
        bounds = named_bounds(row, self._crm.contracts)
        if bounds is None:
            return None
        return Contract(rank(bounds.begins_us, row[columns.id]), self._interval(row, customer, bounds.starts_us, bounds.ends_us))

    def _interval(self, row: CrmRow, customer: CrmRow, begins: int, ends: int | None) -> Ownership:
        of, columns = self._crm.customers, self._crm.contracts
        timezone = str(customer.get(of.timezone) or "")
        return Ownership(
            starts_us=begins,
            ends_us=ends,
            user_id=str(customer[of.user_id]),
            customer_id=str(customer[of.id]),
            customer_name=str(customer.get(of.name) or ""),
            timezone=in_force(timezone),
            contract_id=str(row[columns.id]),
            contract_number=str(row.get(columns.number) or ""),
        )

    # -- erasure --------------------------------------------------------------------------------------------------------

    def _erase(self, key: str, customer: CrmRow, offset: int, moment_us: int, reason: str) -> list[Erase]:
        """The commands that erase a customer; decided at the first call for *offset* and kept, because the table moves on."""
        name = f"{ERASED}{key.partition(':')[2]}:{offset}"
        kept = self._table.get(name)
        if kept is None:
            user_id = customer.get(self._crm.customers.user_id)
            times = {} if user_id is None else self._times_of(key, moment_us)
            if not times:
                return []
            kept = {"subject": subject_of(str(user_id)), "issued_us": moment_us, "reason": reason, "times": times}
            self._table[name] = kept
        identity = erasure_id(key.partition(":")[2], offset)
        return [
            Erase(
                command_id=identity,
                prosthesis_id=prosthesis_id,
                subject=kept["subject"],
                intervals=tuple((begin, end) for begin, end in intervals),
                issued_us=kept["issued_us"],
                parts=len(kept["times"]),
                customer_gone=kept["reason"] == CUSTOMER_DELETED,
                reason=kept["reason"],
            )
            for prosthesis_id, intervals in sorted(kept["times"].items())
        ]

    def _times_of(self, key: str, moment_us: int) -> dict[str, list[list[int]]]:
        """By prosthesis, the intervals up to a moment that were the customer's."""
        # By a contract that was corrected no time is the customer's, but reports were once: their remains have to go.
        claims: dict[str, list[Claim]] = {self._table[held]["prosthesis_id"]: [] for held in self._held_by_customer.get(key, ())}
        for contract in self._contracts_of_customer.get(key, ()):
            row = self._table[contract]
            bounds, readable = bounds_or_all(row, self._crm.contracts)
            for prosthesis_id in self._prosthesis_of(row):
                if bounds is not None:
                    place = rank(bounds.begins_us, row[self._crm.contracts.id])
                    claims.setdefault(prosthesis_id, []).append(Claim(place, bounds.starts_us, bounds.ends_us, contends=readable))
        for former in self._former_of_customer.get(key, ()):
            row = self._table[former]
            together = moment_us - row["deleted_us"] <= TOGETHER_US
            # Rows of an earlier version have the exact beginning in starts_us.
            begins = row["begins_us"] if "begins_us" in row else row["starts_us"]
            claim = Claim(rank(begins, former.partition(":")[2]), max(row["starts_us"], EARLIEST_US), row["ends_us"], contends=together)
            claims.setdefault(row["prosthesis_id"], []).append(claim)
        return {p: [list(i) for i in erased_intervals(mine, self._others(p, key), moment_us)] for p, mine in claims.items()}

    def _others(self, prosthesis_id: str, customer: str) -> Iterator[Contract]:
        for key in self._contracts_of_prosthesis.get(prosthesis_id, ()):
            if key not in self._contracts_of_customer.get(customer, ()):
                with suppress(UnreadableBounds):
                    contract = self._contract(key)
                    if contract is not None:
                        yield contract

    def _keep_former(self, key: str, row: CrmRow, deleted_us: int) -> None:
        """Remember a deleted contract, as ids and instants, for as long as its customer is there."""
        for former, kept in self._former(key, row, deleted_us).items():
            customer = f"customers:{kept['customer_id']}"
            if customer in self._table:
                self._table[former] = kept
                self._former_of_customer.setdefault(customer, set()).add(former)

    def _former(self, key: str, row: CrmRow, deleted_us: int) -> dict[str, CrmRow]:
        """What is kept of a deleted contract; nothing where it owned nothing or it has no prosthesis."""
        bounds, readable = bounds_or_all(row, self._crm.contracts)
        if bounds is None:
            return {}
        return {
            FORMER + key.partition(":")[2]: {
                "customer_id": str(row.get(self._crm.contracts.customer_id)),
                "prosthesis_id": prosthesis_id,
                "starts_us": bounds.starts_us,
                "ends_us": bounds.ends_us,
                "begins_us": bounds.begins_us,
                # One that could not be read contends with nobody's, however soon its customer is deleted too.
                "deleted_us": deleted_us if readable else 0,
            }
            for prosthesis_id in self._prosthesis_of(row)
        }

    def _forget_one_former(self, former: str) -> None:
        row = self._table.pop(former, None)
        if row is not None:
            self._former_of_customer.get(f"customers:{row['customer_id']}", set()).discard(former)

    def _held(self, kind: str, known: CrmRow | None, change: CrmEnvelope) -> dict[str, CrmRow]:
        """What is kept where a contract, known as it was or told by the change, passes to another customer or prosthesis: who held which."""
        if kind != "contracts":
            return {}
        now = self._parties(change.after)
        before = {self._parties(row) for row in (known, change.before) if row is not None}
        return {
            f"{HELD}{customer_id}:{prosthesis_id}": {"customer_id": customer_id, "prosthesis_id": prosthesis_id}
            for customer_id, prosthesis_id in sorted(before - {now})
        }

    def _parties(self, contract: CrmRow | None) -> tuple[str, str]:
        row, columns = contract or {}, self._crm.contracts
        return str(row.get(columns.customer_id)), str(row.get(columns.prosthesis_id))

    def _keep_held(self, rows: dict[str, CrmRow]) -> None:
        for held, row in rows.items():
            customer = f"customers:{row['customer_id']}"
            if customer in self._table:
                self._table[held] = row
                self._held_by_customer.setdefault(customer, set()).add(held)

    def _forget_what_was(self, customer: str) -> None:
        for key in self._former_of_customer.pop(customer, set()) | self._held_by_customer.pop(customer, set()):
            self._table.pop(key, None)

    def _customer_of_user(self, user_id: str | None) -> str:
        column = self._crm.customers.user_id
        found = (key for key, row in self._table.items() if key.startswith("customers:") and str(row.get(column)) == user_id)
        return next(found, "")

    # -- rows -----------------------------------------------------------------------------------------------------------

    def _concerned(self, kind: str, key: str, row: CrmRow) -> set[str]:
        """The prostheses that a row has to do with: by the table's content, and by the row's own."""
        if kind == "prostheses":
            return {key.partition(":")[2]}
        if kind == "customers":
            contracts = self._contracts_of_customer.get(key, set())
            return {p for contract in contracts for p in self._prosthesis_of(self._table.get(contract))}
        return set(self._prosthesis_of(self._table.get(key))) | set(self._prosthesis_of(row))

    def _prosthesis_of(self, contract: CrmRow | None) -> Iterator[str]:
        value = None if contract is None else contract.get(self._crm.contracts.prosthesis_id)
        if value is not None:
            yield str(value)

    def _remember(self, kind: str, key: str, row: CrmRow) -> None:
        if kind == "contracts":
            self._unlink(key)
            self._link(key, row)
            self._forget_one_former(FORMER + key.partition(":")[2])
        self._table[key] = row

    def _forget(self, kind: str, key: str) -> None:
        if kind == "contracts":
            self._unlink(key)
        self._table.pop(key, None)

    def _link(self, key: str, row: CrmRow) -> None:
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
