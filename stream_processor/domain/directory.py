"""The directory: changes of the CRM in, ownership documents out.

A prosthesis with a contract whose bounds cannot be read gets no document: the ownership in force stays, and every change that concerns it is told as an error, until
the row is mended. The directory emits, it does not compare: every record makes the whole document of each prosthesis it concerns go out again, with the record's offset. So a crash, a
replay or a stale table cannot hide a change; receivers ignore offsets below the one they have.

A customer who is deleted is erased: every prosthesis that was ever theirs gets an ``Erase`` command. Which time that is, is decided once and kept in the table under the
record's offset, so that handling the record again gives the same commands. Until a customer goes, the table keeps as ids and instants what was theirs and what the
CRM no longer tells: deleted contracts, prostheses by contracts that were corrected, users whom they were.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field

from schemas.commands import Erase
from schemas.erasure import ErasureRequest
from schemas.keys import prosthesis_key
from schemas.mapping import SourceMapping
from schemas.ownership import OwnershipDocument
from stream_processor.domain.crm import CrmContract, CrmEnvelope, CrmReader, CrmRow, CrmTable, Customer, UnusableChange
from stream_processor.domain.customer_erasure import CUSTOMER_DELETED, OPERATOR, decided_at, erase, erase_contract
from stream_processor.domain.directory_facts import StoredRow
from stream_processor.domain.directory_table import DirectoryTable
from stream_processor.domain.ownership_documents import document
from stream_processor.domain.renumbering import renumber


@dataclass(frozen=True, slots=True)
class Handled:
    """What one CRM record leads to: the documents to send, the erasures to send after them, and where it could not be used what is wrong, and the reason of its dead letter."""

    documents: list[OwnershipDocument]
    error: str | None = None
    reason: str = "invalid-row"
    erasures: list[Erase] = field(default_factory=list)


class Directory:
    """*rows* is any mutable mapping, see ``directory_table``; its indexes are made anew by ``restore`` at each assignment."""

    def __init__(self, mapping: SourceMapping, rows: MutableMapping[str, StoredRow]) -> None:
        self._reader = CrmReader(mapping.crm)
        self._table = DirectoryTable(self._reader, rows)
        self._earlier_erasures: set[tuple[str, str, int]] = set()
        """What was decided on before this assignment, perhaps by a worker that did not come to send it, see ``DirectoryTable.erasures_decided``."""

    def table_after(self, changes: Iterable[CrmEnvelope]) -> DirectoryTable:
        """What *changes*, all there were, leave. Touches nothing, so it may run in any thread. What cannot be used was a dead letter and leaves nothing."""
        made = DirectoryTable(self._reader, {})
        for change in changes:
            with suppress(Exception):
                self._take_in(change, made)
        return made

    def _take_in(self, change: CrmEnvelope, made: DirectoryTable) -> None:
        table = self._reader.table_of(change)
        if table is None:
            return
        row_id = self._reader.row_id(table, change)
        try:
            for one in made.with_what_was_missed(table, row_id, change):
                made.record(table, row_id, one)
        except UnusableChange:
            # Compaction may have taken the record with the row's last whole content.
            made.keep_known(table, row_id, self._table)

    def restore(self, made: DirectoryTable) -> None:
        """Make the table what *made* is, see ``table_after``. Needed at each assignment.

        A changelog alone does not tell: a worker that lost the directory without knowing may have written to it after its successor, and so what is
        recovered may be older than what was said. What the CRM's compacted log may have lost is kept.
        """
        self._table.become(made)
        self._earlier_erasures = set(self._table.erasures_decided())

    def handle(self, change: CrmEnvelope, offset: int, *, key_changed: bool = False, new_key: bytes | None = None) -> Handled:
        """Take one change in and say what goes out. Handling it again gives documents at least as new, and the same erasures.

        *key_changed*: the delete is the first half of a changed primary key, so nothing has gone. *new_key*: the row's key from now on, as the header tells it.
        """
        table = self._reader.table_of(change)
        if table is None:
            return Handled([])
        try:
            return self._handle(table, change, offset, key_changed, new_key)
        except UnusableChange as error:
            return Handled([], str(error), reason=error.reason)

    def _handle(self, table: CrmTable, change: CrmEnvelope, offset: int, key_changed: bool, new_key: bytes | None) -> Handled:
        row_id = self._reader.row_id(table, change)
        concerned: set[str] = set()
        erasures: list[Erase] = []
        for one in self._table.with_what_was_missed(table, row_id, change):
            # What is known of a row that has gone is whole, whatever the table's replica identity.
            known = self._table.row(table, row_id) if one.is_delete else None
            source_row = known or one.row or {}
            row = self._reader.read(table, source_row)
            concerned |= self._concerned(row) | self._table.prostheses_before(table, row_id, one)
            if one.is_delete and isinstance(row, Customer) and key_changed and (now := self._reader.renumbered(source_row, new_key)):
                renumber(self._table, row, one, now)
            if one.is_delete and isinstance(row, Customer) and not key_changed:
                erasures = erase(self._table, row, offset, one.committed_us, CUSTOMER_DELETED)
                self._table.forget_what_was(row_id)
            if one.is_delete and isinstance(row, CrmContract) and not key_changed:
                former = self._table.former(source_row, one.committed_us)
                erasures = [] if former is None else erase_contract(self._table, former, row.id, offset)
            if one.is_delete and not key_changed:
                erasures += self._decided_and_not_sent(f"{table}:{row.id}", offset)
            self._table.forget_useless(self._table.record(table, row_id, one, key_changed=key_changed))
            concerned |= self._concerned(row)
        # Also where the contracts went before: their documents may have been decided on and never sent, and by now nothing else leads to these prostheses.
        concerned |= {erasure.prosthesis_id for erasure in erasures}
        documents, errors = self._documents(concerned, offset)
        return Handled(documents, "; ".join(errors) or None, erasures=erasures)

    def _decided_and_not_sent(self, ended: str, offset: int) -> list[Erase]:
        """The commands of erasures of the row *ended* that were decided on at records before *offset*, and may not have been sent before a crash: of such a record compaction may have left only this one.

        They may know more than what is decided on now: what a customer was is forgotten with his end, row by row, and the crash may have come in the middle.

        Where they were sent they are sent again, and say nothing new.
        """
        of_the_row = {earlier for earlier in self._earlier_erasures if earlier[0] == ended and earlier[2] <= offset}
        self._earlier_erasures -= {earlier for earlier in of_the_row if earlier[2] == offset}
        return [command for _, customer_id, at in sorted(of_the_row) if at < offset for command in decided_at(self._table, customer_id, at)]

    def end_of(self, key: bytes | None, at_ms: int) -> CrmEnvelope | None:
        """What a tombstone of the CRM's topic, written at *at_ms*, tells: the end of the row under *key*. None where it is no row of a table that counts.

        It follows its delete, and says nothing new after it. Compaction may have taken that one.
        """
        return self._reader.end_of(key, at_ms)

    def request(self, request: ErasureRequest, offset: int) -> Handled:
        """An operator's erasure of a customer whom the CRM keeps. Of a customer who is not known there is nothing to erase."""
        customer = self._table.customer(request.customer_id or self._table.customer_of_user(request.user_id))
        if customer is None:
            return Handled([])
        return Handled([], erasures=erase(self._table, customer, offset, request.issued_us, OPERATOR))

    def document(self, prosthesis_id: str, offset: int) -> OwnershipDocument:
        """The whole ownership of one prosthesis, as the table has it now. Raises UnreadableBounds, naming the contract."""
        return document(self._table, prosthesis_id, offset)

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

    def _concerned(self, row: CrmRow) -> set[str]:
        """The prostheses that a row has to do with: by the table's content, and by the row's own."""
        if isinstance(row, Customer):
            return _prostheses_of(self._table.contracts_of_customer(row.id))
        if isinstance(row, CrmContract):
            known = self._table.contract(row.id)
            # Of a delete that was decided on and not sent before a crash, compaction may leave the tombstone alone: by then it is remembered as deleted.
            return _prostheses_of([row] if known is None else [row, known]) | self._table.prostheses_of_former(row.id)
        return {row.id}


def _prostheses_of(contracts: Iterable[CrmContract]) -> set[str]:
    return {contract.prosthesis_id for contract in contracts if contract.prosthesis_id is not None}
