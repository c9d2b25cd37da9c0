"""What a contract's row of the CRM says of its bounds and its rank (``docs/metrics.md``, "Which day, which hour, whose")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.mapping import ContractsTable, TimeColumn
from schemas.ranges import EARLIEST_US, END_US, is_ordered_id
from stream_processor.domain.crm import CrmContract
from stream_processor.domain.instants import NotAnInstant, read_times

Rank = tuple[int, int, int, str]
"""Which of two contracts that hold wins: the exact beginning, then the id: integers by value, above them other texts by their code points."""


class UnreadableBounds(ValueError):  # noqa: N818 - named for what it is
    """A beginning or an end that is no instant: nobody can tell from it who owned the prosthesis."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """*starts_us*, *ends_us* (None: open) within the time that events have; *begins_us* is where the contract really begins."""

    starts_us: int
    ends_us: int | None
    begins_us: int


OWNS_NOTHING = Bounds(END_US, END_US, END_US)
"""What stands for the bounds of a contract that has no time: reports may have been made before it was corrected to that."""


def bounds_of(contract: CrmContract, columns: ContractsTable) -> Bounds | None:
    """The bounds of a contract; None where it has no beginning, or none before events end: it owns nothing. Raises UnreadableBounds."""
    begins, ends = _instant(contract.starts_at, columns.starts_at), _instant(contract.ends_at, columns.ends_at)
    if begins is None or begins >= END_US:
        return None
    return Bounds(max(begins, EARLIEST_US), None if ends is None or ends >= END_US else max(ends, EARLIEST_US), begins)


def named_bounds(contract: CrmContract, columns: ContractsTable) -> Bounds | None:
    """``bounds_of``. Raises UnreadableBounds, naming the contract."""
    try:
        return bounds_of(contract, columns)
    except UnreadableBounds as error:
        raise UnreadableBounds(f"contract {contract.id}: {error}") from None


def bounds_or_all(contract: CrmContract, columns: ContractsTable) -> tuple[Bounds | None, bool]:
    """The bounds, and whether they can be read. Those that cannot may be any time: what nobody else owns has to count as theirs."""
    try:
        return bounds_of(contract, columns), True
    except UnreadableBounds:
        return Bounds(EARLIEST_US, None, EARLIEST_US), False


def rank(begins_us: int, contract_id: str) -> Rank:
    """See ``Rank``."""
    return (begins_us, 0, int(contract_id), "") if is_ordered_id(contract_id) else (begins_us, 1, 0, contract_id)


def _instant(value: Any, column: TimeColumn) -> int | None:
    if value is None:
        return None
    try:
        return int(read_times([value], column)[0])
    except (NotAnInstant, ValueError, TypeError, OverflowError):
        raise UnreadableBounds(f"{column.column}: {str(value)[:40]!r} is not an instant in UTC") from None
