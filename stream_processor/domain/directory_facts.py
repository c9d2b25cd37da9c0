"""What the directory remembers beyond the rows that the CRM still has, as it is stored in its table."""

from __future__ import annotations

import msgspec


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


class DecidedErasure(msgspec.Struct, frozen=True):
    """What an erasure was decided to be, by prosthesis the intervals in microseconds: decided once, because the table moves on."""

    subject: str
    issued_us: int
    reason: str
    times: dict[str, list[tuple[int, int]]]
    former_subjects: tuple[str, ...] = ()
