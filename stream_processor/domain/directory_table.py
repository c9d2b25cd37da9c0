"""The directory's table: what the CRM's changes have said, and what has to be remembered beyond the rows that the CRM still has.

It lives in any mapping of text to row; in the service that is Faust's table, whose changelog keeps it. The stored forms of what is remembered, and their keys, are those of ``directory_facts``:

===================================  ======================================================================================
``customers:7``, ``contracts:5``, …  a row of the CRM: its mapped columns, by the source's names
``former:5``                         a contract that was deleted, see ``FormerContract``
``held:7:3``                         customer 7 had prosthesis 3 by a contract that was then corrected, see ``HeldProsthesis``
``former-user:7:ID``                 customer 7 was the user ID, see ``FormerUser``
``renumbered:7``                     customer 7 has another number now, see ``Renumbered``
``erased:7:120``                     what the erasure that offset 120 asked for was decided to be, see ``DecidedErasure``
===================================  ======================================================================================
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, MutableMapping

import msgspec

from stream_processor.domain.contracts import OWNS_NOTHING, bounds_or_all
from stream_processor.domain.crm import (
    CrmContract,
    CrmEnvelope,
    CrmReader,
    CrmRow,
    CrmTable,
    Customer,
    Prosthesis,
    SourceRow,
    UnusableChange,
)
from stream_processor.domain.directory_facts import (
    ERASED,
    FORMER,
    READ_AS,
    REMEMBERED,
    RENUMBERED,
    DecidedErasure,
    Fact,
    FormerContract,
    FormerUser,
    HeldProsthesis,
    StoredRow,
    asked_at,
    fact_of,
)


class DirectoryTable:
    """Typed access to *rows*, with the indexes that joins need. ``index`` is needed after *rows* changed by other means."""

    def __init__(self, reader: CrmReader, rows: MutableMapping[str, StoredRow]) -> None:
        self.reader = reader
        self._rows = rows
        self._contracts_of_customer: defaultdict[str | None, set[str]] = defaultdict(set)
        self._contracts_of_prosthesis: defaultdict[str, set[str]] = defaultdict(set)
        self._remembered_of_customer: defaultdict[str, set[str]] = defaultdict(set)
        self._held_by_contract: defaultdict[str, set[str]] = defaultdict(set)
        self._erased: defaultdict[str, set[str]] = defaultdict(set)
        self._gone: set[str] = set()
        """Keys of the customers and contracts whose end the CRM has told, and that did not come again."""

    def index(self, without: Collection[str] = ()) -> None:
        """Build the indexes anew from the rows; contracts that are only remembered are in none."""
        indexes = (
            self._contracts_of_customer,
            self._contracts_of_prosthesis,
            self._remembered_of_customer,
            self._held_by_contract,
            self._erased,
        )
        for index in indexes:
            index.clear()
        for key, row in self._rows.items():
            if key.startswith(f"{CrmTable.CONTRACTS}:") and key not in without:
                self._link(self.reader.contract(row))
            elif key.startswith(REMEMBERED):
                self._index_fact(key, row)
            elif key.startswith(ERASED):
                self._erased[asked_at(key)[0]].add(key)

    # -- the CRM's rows ---------------------------------------------------------------------------------------------------

    def row(self, table: CrmTable, row_id: str) -> SourceRow | None:
        """The row as it is stored."""
        return self._rows.get(f"{table}:{row_id}")

    def customer(self, customer_id: str | None) -> Customer | None:
        row = self._typed(CrmTable.CUSTOMERS, customer_id)
        return row if isinstance(row, Customer) else None

    def contract(self, contract_id: str) -> CrmContract | None:
        row = self._typed(CrmTable.CONTRACTS, contract_id)
        return row if isinstance(row, CrmContract) else None

    def prosthesis(self, prosthesis_id: str) -> Prosthesis | None:
        row = self._typed(CrmTable.PROSTHESES, prosthesis_id)
        return row if isinstance(row, Prosthesis) else None

    def _typed(self, table: CrmTable, row_id: str | None) -> CrmRow | None:
        row = self._rows.get(f"{table}:{row_id}")
        if row is None:
            return None
        try:
            return self.reader.read(table, row)
        except UnusableChange:  # stored under another mapping
            return None

    def contracts_of_customer(self, customer_id: str) -> Iterator[CrmContract]:
        yield from self._contracts(self._contracts_of_customer.get(customer_id, ()))

    def contracts_of_prosthesis(self, prosthesis_id: str) -> Iterator[CrmContract]:
        """In the order of their ids as text."""
        yield from self._contracts(self._contracts_of_prosthesis.get(prosthesis_id, ()))

    def _contracts(self, ids: set[str] | tuple[()]) -> Iterator[CrmContract]:
        for contract_id in sorted(ids):
            if (contract := self.contract(contract_id)) is not None:
                yield contract

    def customer_of_user(self, user_id: str | None) -> str | None:
        """The customer whose user this is now. Looks at all of them."""
        prefix = f"{CrmTable.CUSTOMERS}:"
        ids = (key.removeprefix(prefix) for key in list(self._rows) if key.startswith(prefix))
        return next((i for i in ids if (customer := self.customer(i)) is not None and customer.user_id == user_id), None)

    # -- changes ----------------------------------------------------------------------------------------------------------

    def with_what_was_missed(self, table: CrmTable, row_id: str, change: CrmEnvelope) -> Iterator[CrmEnvelope]:
        """*change*, and before it the correction that a delete shows to have been missed: it tells the row as it went, and that is not what is known.

        Nobody was told of that one: the replication slot was dropped, or the CRM restored to an earlier point.
        """
        known = self.row(table, row_id)
        if change.is_delete and known is not None and change.before is not None and self._is_told(table, change.before):
            last = self.reader.stored(table, change.before)
            if last != known:
                yield msgspec.structs.replace(change, op="u", before=None, after=last)
        yield change

    def prostheses_before(self, table: CrmTable, row_id: str, change: CrmEnvelope) -> set[str]:
        """Of which prostheses a contract was before *change*, by what the change itself tells, and by what is remembered of the contract.

        What the table knew of it is gone where the change was taken in and a crash came before anything was sent; and compaction may have taken the change before.
        """
        if table is not CrmTable.CONTRACTS:
            return set()
        found = {self._rows[key]["prosthesis_id"] for key in self._held_by_contract.get(row_id, ()) if key in self._rows}
        if change.before is not None and self._is_told(table, change.before):
            found.add(str(self.reader.contract(change.before).prosthesis_id))
        return found

    def _is_told(self, table: CrmTable, gone: SourceRow) -> bool:
        """Whether *gone* is a row as it went. Where a table's replica identity is its key, all else is null, or invented where it may not be null: zero, empty, 1970."""
        try:
            row = self.reader.read(table, gone)
        except UnusableChange:
            return False
        match row:
            case Customer():
                return bool(row.user_id and row.timezone)
            case CrmContract():
                bounds, readable = bounds_or_all(row, self.reader.contracts)
                return bool(readable and bounds and bounds.begins_us and row.customer_id and row.prosthesis_id)
            case Prosthesis():
                return False  # nothing of it has to be remembered

    def record(self, table: CrmTable, row_id: str, change: CrmEnvelope, *, key_changed: bool = False) -> list[str]:
        """Make the table what it is after *change*. Returns the keys of what has to be remembered of it.

        *key_changed*: the delete is the first half of a changed primary key, so nothing has gone. Raises UnusableChange, then having changed nothing.
        """
        known = self.row(table, row_id)
        if change.is_delete:
            self._gone |= {f"{table}:{row_id}"} if table is not CrmTable.PROSTHESES else set()
            gone = known or change.before or {}
            former = self.former(gone, change.committed_us) if table is CrmTable.CONTRACTS and not key_changed else None
            return self._remove(table, row_id, former)
        after = change.after or {}
        self.reader.read(table, after)
        remembered = [self.remember(key, fact) for key, fact in self._superseded(table, row_id, known, change)]
        if table is CrmTable.CONTRACTS:
            self._unlink(row_id)
            self._link(self.reader.contract(after))
            self._forget(FORMER + row_id)
        elif table is CrmTable.CUSTOMERS and RENUMBERED + row_id in self._rows:
            self._forget(RENUMBERED + row_id)  # the former number is another's now
        self._gone.discard(f"{table}:{row_id}")
        self._rows[f"{table}:{row_id}"] = self.reader.stored(table, after)
        return remembered

    def _remove(self, table: CrmTable, row_id: str, former: FormerContract | None) -> list[str]:
        if table is CrmTable.CONTRACTS:
            self._unlink(row_id)
        remembered = [] if former is None else [self.remember(FORMER + row_id, former)]
        self._rows.pop(f"{table}:{row_id}", None)
        return remembered

    def keep_known(self, table: CrmTable, row_id: str, other: DirectoryTable) -> None:
        """Take over what *other* knows of a row of which nothing whole is known here."""
        row = other.row(table, row_id)
        if self.row(table, row_id) is None and row is not None and other._typed(table, row_id) is not None:
            self._rows[f"{table}:{row_id}"] = row

    def become(self, other: DirectoryTable) -> None:
        """Hold what *other* holds; of what is remembered beyond the CRM's rows nothing is lost. Only rows that differ are written.

        A row that *other* has not was deleted, or a later change of it is still to come and compaction has taken the earlier ones. A contract counts for nobody
        then, but is remembered: which prosthesis it was of is told nowhere else, and that one has to hear of the change too. A customer stays what he was: where
        that change is lost with the topic, a rebuild has to know whom to look for in the CRM. Which user a customer was here, and
        whose a prosthesis was, is remembered where it is not so there: of the changes between perhaps nothing is left. Only the customer's end ends that.
        """
        kept = {key: row for key, row in other._rows.items() if other.is_of_use(key, row)}
        kept = self._parties_before(other) | kept
        gone = {key for key, row in self._rows.items() if key not in kept and other._may_come_again(key, row)}
        # What is remembered of a row is written before the row goes: a crash may come at any point between.
        for key, row in kept.items():
            if self._rows.get(key) != row:
                self._rows[key] = row
        for key, row in list(self._rows.items()):
            if key not in kept and key not in gone and not (key.startswith((*REMEMBERED, ERASED)) and other.is_of_use(key, row)):
                self._rows.pop(key, None)
        self._gone = set(other._gone)
        self.index(without=gone)

    def _parties_before(self, other: DirectoryTable) -> dict[str, StoredRow]:
        """Whom this table's rows bring together and *other*'s do not, as remembered facts: of customers whose end *other* was not told."""
        facts: dict[str, StoredRow] = {}
        for key, row in self._rows.items():
            name, _, row_id = key.partition(":")
            if name in (CrmTable.CUSTOMERS, CrmTable.CONTRACTS):
                table = CrmTable(name)
                before = self._parties(table, row_id, row)
            elif key.startswith(FORMER) and other.row(CrmTable.CONTRACTS, row_id) is not None:
                table, before = CrmTable.CONTRACTS, self._parties_of_former(row_id)
            else:
                continue
            if before is not None and not other._is_gone(before[0]) and before != other._parties_now(table, row_id):
                fact_key, fact = fact_of(table, row_id, before)
                facts[fact_key] = msgspec.to_builtins(fact)
        return facts

    def _parties_now(self, table: CrmTable, row_id: str) -> tuple[str, str] | None:
        """Whom the row brings together, or brought until it was deleted."""
        if table is CrmTable.CONTRACTS and (former := self._parties_of_former(row_id)) is not None:
            return former
        row = self.row(table, row_id)
        return None if row is None else self._parties(table, row_id, row)

    def _parties_of_former(self, contract_id: str) -> tuple[str, str] | None:
        """Whom the contract brought together until it was deleted; None where it was not."""
        former = self._rows.get(FORMER + contract_id)
        return None if former is None else (former["customer_id"], former["prosthesis_id"])

    def _may_come_again(self, key: str, row: StoredRow) -> bool:
        """Whether *row* is a customer or a contract whose end is not told here, or a contract of such a customer."""
        match key.partition(":")[0]:
            case CrmTable.CUSTOMERS:
                return key not in self._gone
            case CrmTable.CONTRACTS:
                return key not in self._gone or not self._is_gone(self.reader.contract(row).customer_id)
            case _:
                return False

    def _is_gone(self, customer_id: str | None) -> bool:
        return f"{CrmTable.CUSTOMERS}:{customer_id}" in self._gone

    def is_of_use(self, key: str, row: StoredRow) -> bool:
        """What was a customer's counts until the customer's end is told, a deleted contract only while it is deleted."""
        if not key.startswith(REMEMBERED):
            return True
        back = key.startswith(FORMER) and f"{CrmTable.CONTRACTS}:{key.removeprefix(FORMER)}" in self._rows
        return not self._is_gone(row["customer_id"]) and not back

    # -- what is remembered beyond the rows -------------------------------------------------------------------------------

    def forget_useless(self, keys: list[str]) -> None:
        """Of *keys*, forget what belongs to a customer whose end was told."""
        for key in keys:
            if (row := self._rows.get(key)) is not None and not self.is_of_use(key, row):
                self._forget(key)

    def forget_what_was(self, customer_id: str) -> None:
        for key in list(self._remembered_of_customer.pop(customer_id, ())):
            self._rows.pop(key, None)

    def prostheses_of_former(self, contract_id: str) -> set[str]:
        """The prosthesis that the contract was of until it was deleted; empty where it was not."""
        former = self._parties_of_former(contract_id)
        return set() if former is None else {former[1]}

    def former_contracts(self, customer_id: str) -> Iterator[tuple[str, FormerContract]]:
        """With the id of each."""
        return ((key.removeprefix(FORMER), fact) for key, fact in self.remembered(customer_id) if isinstance(fact, FormerContract))

    def held_prostheses(self, customer_id: str) -> Iterator[str]:
        return (fact.prosthesis_id for _, fact in self.remembered(customer_id) if isinstance(fact, HeldProsthesis))

    def former_users(self, customer_id: str) -> Iterator[str]:
        return (fact.user_id for _, fact in self.remembered(customer_id) if isinstance(fact, FormerUser))

    def remembered(self, customer_id: str) -> Iterator[tuple[str, Fact]]:
        """Everything that is of the customer, by key."""
        for key in sorted(self._remembered_of_customer.get(customer_id, ())):
            prefix = next(filter(key.startswith, REMEMBERED))
            yield key, msgspec.convert(self._rows[key], READ_AS[prefix])

    def decided_erasure(self, customer_id: str, offset: int) -> DecidedErasure | None:
        row = self._rows.get(f"{ERASED}{customer_id}:{offset}")
        return None if row is None else msgspec.convert(row, DecidedErasure)

    def erasures_decided(self) -> Iterator[tuple[str, str, int]]:
        """Of each the key of the row that it is of, a customer's or that of a contract that was erased by itself, and customer and offset."""
        for key in filter(lambda key: key.startswith(ERASED), self._rows):
            customer_id, offset = asked_at(key)
            contract_id = self._rows[key].get("contract_id")
            of = f"{CrmTable.CUSTOMERS}:{customer_id}" if contract_id is None else f"{CrmTable.CONTRACTS}:{contract_id}"
            yield of, customer_id, offset

    def erasures_of(self, customer_id: str, before: int) -> list[DecidedErasure]:
        """All that were decided on of the customer at records *before* that offset, in their order."""
        keys = sorted((key for key in self._erased.get(customer_id, ()) if asked_at(key)[1] < before), key=asked_at)
        return [msgspec.convert(self._rows[key], DecidedErasure) for key in keys]

    def keep_decided(self, customer_id: str, offset: int, decided: DecidedErasure) -> None:
        key = f"{ERASED}{customer_id}:{offset}"
        self._rows[key] = msgspec.to_builtins(decided)
        self._erased[customer_id].add(key)

    def _superseded(
        self, table: CrmTable, row_id: str, known: SourceRow | None, change: CrmEnvelope
    ) -> Iterator[tuple[str, msgspec.Struct]]:
        """What ceases to be so with *change*, by what was known and by what the change itself tells of the row before.

        A contract that was deleted and comes again for somebody else was corrected.
        """
        if table is CrmTable.PROSTHESES:
            return
        now, *before = [self._parties(table, row_id, row) for row in (change.after, known, change.before) if row is not None]
        if table is CrmTable.CONTRACTS:
            before.append(self._parties_of_former(row_id))
        for parties in sorted({former for former in before if former is not None} - {now}):
            yield fact_of(table, row_id, parties)

    def _parties(self, table: CrmTable, row_id: str, row: SourceRow) -> tuple[str, str] | None:
        """Whom a row brings together: a customer with a prosthesis, or with a user. None where it does not."""
        if table is CrmTable.CONTRACTS:
            contract = self.reader.contract(row)
            customer_id = self._number_now(contract.customer_id)
            return (customer_id, contract.prosthesis_id) if customer_id and contract.prosthesis_id else None
        user_id = self.reader.user_id(row)
        return (row_id, user_id) if user_id else None

    def former(self, row: SourceRow, deleted_us: int) -> FormerContract | None:
        """What is kept of a deleted contract; None where it brought nobody together."""
        contract = self.reader.contract(row)
        bounds, readable = bounds_or_all(contract, self.reader.contracts)
        customer_id = self._number_now(contract.customer_id)
        if contract.prosthesis_id is None or customer_id is None:
            return None
        # One that could not be read contends with nobody's, however soon its customer is deleted too.
        bounds, until_us = bounds or OWNS_NOTHING, deleted_us if readable else 0
        return FormerContract(customer_id, contract.prosthesis_id, bounds.starts_us, bounds.ends_us, until_us, bounds.begins_us)

    def _number_now(self, customer_id: str | None) -> str | None:
        renumbered = self._rows.get(f"{RENUMBERED}{customer_id}")
        return customer_id if renumbered is None else str(renumbered["customer_id"])

    def remember(self, key: str, fact: msgspec.Struct) -> str:
        row = msgspec.to_builtins(fact)
        if (before := self._rows.get(key)) is not None:
            self._remembered_of_customer[before["customer_id"]].discard(key)
        self._rows[key] = row
        self._index_fact(key, row)
        return key

    def _index_fact(self, key: str, row: StoredRow) -> None:
        self._remembered_of_customer[row["customer_id"]].add(key)
        if row.get("contract_id") is not None:
            self._held_by_contract[row["contract_id"]].add(key)

    def _forget(self, key: str) -> None:
        row = self._rows.pop(key, None)
        if row is not None:
            self._remembered_of_customer[row["customer_id"]].discard(key)

    def _link(self, contract: CrmContract) -> None:
        self._contracts_of_customer[contract.customer_id].add(contract.id)
        if contract.prosthesis_id is not None:
            self._contracts_of_prosthesis[contract.prosthesis_id].add(contract.id)

    def _unlink(self, contract_id: str) -> None:
        row = self.row(CrmTable.CONTRACTS, contract_id)
        if row is not None:
            contract = self.reader.contract(row)
            self._contracts_of_customer[contract.customer_id].discard(contract_id)
            if contract.prosthesis_id is not None:
                self._contracts_of_prosthesis[contract.prosthesis_id].discard(contract_id)
