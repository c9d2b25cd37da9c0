"""What the directory remembers beyond the rows that the CRM still has, as it is stored in its table, and under which keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from stream_processor.domain.crm import CrmTable


class FormerContract(msgspec.Struct, frozen=True):
    """A contract that was deleted while its customer is there, as ids and instants.

    *begins_us*: where it really began; None in rows of an earlier version, which have it in *starts_us*. *deleted_us* 0: its bounds could not be read.
    """

    customer_id: str
    prosthesis_id: str
    starts_us: int
    ends_us: int | None
    deleted_us: int
    begins_us: int | None = None


class HeldProsthesis(msgspec.Struct, frozen=True):
    """The prosthesis was the customer's by a contract that was then corrected to another customer or prosthesis.

    *contract_id*: that contract, of several the one that was corrected last; None in rows of an earlier version.
    """

    customer_id: str
    prosthesis_id: str
    contract_id: str | None = None


class FormerUser(msgspec.Struct, frozen=True):
    """The customer was another user once: reports made then go by that user's id."""

    customer_id: str
    user_id: str


class Renumbered(msgspec.Struct, frozen=True):
    """A customer has another number now: what is told of the former one later is *customer_id*'s."""

    customer_id: str


class DecidedErasure(msgspec.Struct, frozen=True):
    """What an erasure was decided to be, by prosthesis the intervals in microseconds: decided once, because the table moves on.

    *contract_id*: the contract whose end asked for it, behind its customer's; None where the customer's end did, or an operator.
    """

    subject: str
    issued_us: int
    reason: str
    times: dict[str, list[tuple[int, int]]]
    former_subjects: tuple[str, ...] = ()
    contract_id: str | None = None


StoredRow = dict[str, Any]

Fact = FormerContract | HeldProsthesis | FormerUser | Renumbered
FORMER, HELD, FORMER_USER, RENUMBERED, ERASED = "former:", "held:", "former-user:", "renumbered:", "erased:"
READ_AS: dict[str, type[FormerContract] | type[HeldProsthesis] | type[FormerUser] | type[Renumbered]] = {
    FORMER: FormerContract,
    HELD: HeldProsthesis,
    FORMER_USER: FormerUser,
    RENUMBERED: Renumbered,
}
REMEMBERED = tuple(READ_AS)


def means_the_same_in_another_topic(key: str) -> bool:
    """Whether the row under *key* is as true where ``crm.changes`` was made anew: what was decided at an offset is of one topic."""
    return not key.startswith(ERASED)


def decided_erasures(rows: Mapping[str, StoredRow]) -> Iterator[tuple[str, int, DecidedErasure]]:
    """Customer, offset and content of every erasure that was decided on."""
    for key in sorted(key for key in rows if key.startswith(ERASED)):
        yield *asked_at(key), msgspec.convert(rows[key], DecidedErasure)


def asked_at(key: str) -> tuple[str, int]:
    """The customer and the offset in the key of a decided erasure."""
    customer_id, _, offset = key.removeprefix(ERASED).rpartition(":")
    return customer_id, int(offset)


def fact_key(fact: HeldProsthesis | FormerUser) -> str:
    if isinstance(fact, HeldProsthesis):
        return f"{HELD}{fact.customer_id}:{fact.prosthesis_id}"
    return f"{FORMER_USER}{fact.customer_id}:{fact.user_id}"


def fact_of(table: CrmTable, row_id: str, parties: tuple[str, str]) -> tuple[str, HeldProsthesis | FormerUser]:
    """What is remembered of the former parties of the contract or the customer *row_id*, and under which key."""
    fact = HeldProsthesis(*parties, row_id) if table is CrmTable.CONTRACTS else FormerUser(*parties)
    return fact_key(fact), fact
