"""Commands to the processor, sent down ``prosthesis.log`` under the prosthesis's own key, so that they have a place in its order.

A command says what to do, never what the result is: handling one again leaves the same rows. Those who send them use
``schemas.keys.prosthesis_key`` and a producer with Kafka's murmur2 partitioner (``service_kit.settings.KafkaSettings.producer``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.ownership import Instant
from schemas.ranges import END_US

Half = Annotated[int, Meta(ge=0)]


class Recompute(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="recompute"):
    """Fold the reports of one prosthesis again from raw telemetry, up to this command's own place in the log.

    Dates are days of reports (local), both included; None means without that bound. *generation*: whose workers do it; None: all.
    *reports*: (user, day) pairs that the mart has and no state may know of; where raw has nothing for them they are taken back.
    """

    command_id: str
    prosthesis_id: str
    from_date: date | None = None
    to_date: date | None = None
    generation: int | None = None
    reports: tuple[tuple[str, date], ...] = ()
    reason: str


class Delete(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="delete"):
    """Mark telemetry of one prosthesis deleted and fold its days again. ``event_ids``: halves (high, low) as the raw table holds them.

    An id that the raw table does not know, or that is deleted already, changes nothing.
    """

    command_id: str
    prosthesis_id: str
    event_ids: tuple[tuple[Half, Half], ...]
    reason: str


class Erase(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="erase"):
    """Let nothing of one prosthesis's *intervals* (microseconds, half-open) come in or be read any more, and fold its days again.

    *command_id* is the erasure's, whatever prosthesis it is about; the erasure has *parts* such commands in all. *subject* names the person (see
    ``schemas.erasure``), *former_subjects* the same person under the user ids that were theirs before; *customer_gone*: the CRM has no such customer any more. Times in microseconds since the epoch.
    """

    command_id: str
    prosthesis_id: str
    subject: str
    former_subjects: tuple[str, ...] = ()
    intervals: tuple[tuple[Instant, Instant], ...]
    issued_us: Annotated[int, Meta(ge=0, le=END_US)]
    parts: Annotated[int, Meta(ge=0, lt=1 << 32)]
    customer_gone: bool
    reason: str


Command = Recompute | Delete | Erase

encode_command = msgspec.json.Encoder().encode
_decode: Callable[[bytes], Command] = msgspec.json.Decoder(Command).decode


def decode_command(value: bytes) -> Command:
    """Bytes of a record to the command. Raises msgspec.DecodeError for anything that is none."""
    command = _decode(value)
    # The decoder knows no bound that needs more than 63 bits.
    if isinstance(command, Delete) and any(half >> 64 for halves in command.event_ids for half in halves):
        raise msgspec.ValidationError("event_ids: a half has more than 64 bits")
    return command
