"""What the erasure of a customer is: the time of each prosthesis that was theirs, decided from the directory's table, and the commands that carry it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from schemas.commands import Erase
from schemas.erasure import erasure_id, subject_of
from schemas.ranges import EARLIEST_US
from stream_processor.domain.calendar import HOUR_US
from stream_processor.domain.contracts import OWNS_NOTHING, UnreadableBounds, bounds_or_all, rank
from stream_processor.domain.crm import Customer
from stream_processor.domain.directory_facts import DecidedErasure, FormerContract, StoredRow, decided_erasures
from stream_processor.domain.directory_table import DirectoryTable
from stream_processor.domain.erasure import Claim, erased_intervals
from stream_processor.domain.ownership import Contract
from stream_processor.domain.ownership_documents import joined

# Foreign keys make a CRM delete contracts before their customer: so shortly before, that the one belongs to the other.
TOGETHER_US = 24 * HOUR_US
CUSTOMER_DELETED, OPERATOR = "customer deleted", "operator"


def erase(table: DirectoryTable, customer: Customer, offset: int, until_us: int, reason: str) -> list[Erase]:
    """The commands that erase what *customer* had up to *until_us*; decided at the first call for *offset* and kept in the table, because the table moves on."""
    decided = table.decided_erasure(customer.id, offset)
    if decided is None:
        decided = _decide(table, customer, until_us, reason)
        if decided is None:
            return []
        table.keep_decided(customer.id, offset, decided)
    return _commands(customer.id, offset, decided)


def erase_contract(table: DirectoryTable, contract: FormerContract, contract_id: str, offset: int) -> list[Erase]:
    """The commands that erase what a deleted *contract* gave to a customer whose end was told before; none where his erasure has all of that, or there was none.

    A contract is deleted before its customer, or with him, when it is known by then. But where a topic was lost between the two, only a rebuild tells of it.
    """
    customer_id = contract.customer_id
    decided = table.decided_erasure(customer_id, offset)
    if decided is None:
        decided = _decide_contract(table, contract, contract_id, offset)
        if decided is None:
            return []
        table.keep_decided(customer_id, offset, decided)
    return _commands(customer_id, offset, decided)


def _decide_contract(table: DirectoryTable, contract: FormerContract, contract_id: str, offset: int) -> DecidedErasure | None:
    # One that was told before his end was known by then, whenever it is handled again: what it gave was decided once.
    ended = [erasure for erasure in table.erasures_of(contract.customer_id, offset) if erasure.reason == CUSTOMER_DELETED]
    if not ended or table.customer(contract.customer_id) is not None:
        return None
    last, prosthesis_id = ended[-1], contract.prosthesis_id
    claim = _former_claim(contract, contract_id, last.issued_us)
    times = erased_intervals([claim], _others(table, prosthesis_id, contract.customer_id), last.issued_us)
    known = [interval for erasure in ended for interval in erasure.times.get(prosthesis_id, ())]
    if all(any(begin <= first and until <= end for begin, end in known) for first, until in times):
        return None
    return DecidedErasure(last.subject, last.issued_us, CUSTOMER_DELETED, {prosthesis_id: list(times)}, last.former_subjects, contract_id)


def decided_at(table: DirectoryTable, customer_id: str, offset: int) -> list[Erase]:
    """The commands of the erasure that was decided on at *offset*; none where there was none."""
    decided = table.decided_erasure(customer_id, offset)
    return [] if decided is None else _commands(customer_id, offset, decided)


def all_decided(rows: Mapping[str, StoredRow]) -> Iterator[Erase]:
    """The commands of every erasure that a directory with the table *rows* has decided on."""
    for customer_id, offset, decided in decided_erasures(rows):
        yield from _commands(customer_id, offset, decided)


def _commands(customer_id: str, offset: int, decided: DecidedErasure) -> list[Erase]:
    return [
        Erase(
            command_id=erasure_id(customer_id, offset),
            prosthesis_id=prosthesis_id,
            subject=decided.subject,
            former_subjects=decided.former_subjects,
            intervals=tuple(intervals),
            issued_us=decided.issued_us,
            parts=len(decided.times),
            customer_gone=decided.reason == CUSTOMER_DELETED,
            reason=decided.reason,
        )
        for prosthesis_id, intervals in sorted(decided.times.items())
    ]


def _decide(table: DirectoryTable, customer: Customer, until_us: int, reason: str) -> DecidedErasure | None:
    """None where there is nothing to erase: the customer never had a login, or never a prosthesis."""
    former = [user_id for user_id in table.former_users(customer.id) if user_id != customer.user_id]
    users = former if customer.user_id is None else [customer.user_id, *former]
    times = _times_of(table, customer.id, until_us) if users else {}
    if not times:
        return None
    subject, *former_subjects = map(subject_of, users)
    return DecidedErasure(subject, until_us, reason, times, tuple(former_subjects))


def _times_of(table: DirectoryTable, customer_id: str, until_us: int) -> dict[str, list[tuple[int, int]]]:
    """By prosthesis, the intervals up to *until_us* that were the customer's."""
    # By a contract that was corrected no time is the customer's, but reports were once: their remains have to go.
    claims: dict[str, list[Claim]] = {prosthesis_id: [] for prosthesis_id in table.held_prostheses(customer_id)}
    for prosthesis_id, claim in (*_live_claims(table, customer_id), *_former_claims(table, customer_id, until_us)):
        claims.setdefault(prosthesis_id, []).append(claim)
    return {p: list(erased_intervals(mine, _others(table, p, customer_id), until_us)) for p, mine in claims.items()}


def _live_claims(table: DirectoryTable, customer_id: str) -> Iterator[tuple[str, Claim]]:
    for contract in table.contracts_of_customer(customer_id):
        bounds, readable = bounds_or_all(contract, table.reader.contracts)
        if contract.prosthesis_id is not None:
            bounds = bounds or OWNS_NOTHING
            place = rank(bounds.begins_us, contract.id)
            yield contract.prosthesis_id, Claim(place, bounds.starts_us, bounds.ends_us, contends=readable)


def _former_claims(table: DirectoryTable, customer_id: str, until_us: int) -> Iterator[tuple[str, Claim]]:
    for contract_id, former in table.former_contracts(customer_id):
        yield former.prosthesis_id, _former_claim(former, contract_id, until_us)


def _former_claim(former: FormerContract, contract_id: str, until_us: int) -> Claim:
    begins = former.starts_us if former.begins_us is None else former.begins_us
    together = until_us - former.deleted_us <= TOGETHER_US
    return Claim(rank(begins, contract_id), max(former.starts_us, EARLIEST_US), former.ends_us, contends=together)


def _others(table: DirectoryTable, prosthesis_id: str, customer_id: str) -> Iterator[Contract]:
    """The contracts of all other customers of a prosthesis that own something."""
    for contract in table.contracts_of_prosthesis(prosthesis_id):
        if contract.customer_id != customer_id:
            with suppress(UnreadableBounds):
                other = joined(table, contract)
                if other is not None:
                    yield other
