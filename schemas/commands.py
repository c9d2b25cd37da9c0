"""Commands to the processor, sent down ``prosthesis.log`` under the prosthesis's own key, so that they have a place in its order.

A command says what to do, never what the result is: handling one again leaves the same rows. Those who send them use
``schemas.keys.prosthesis_key`` and a producer with Kafka's murmur2 partitioner (``service_kit.settings.KafkaSettings.producer``).
"""

from __future__ import annotations

from datetime import date

import msgspec


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
    event_ids: tuple[tuple[int, int], ...]
    reason: str


class Erase(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="erase"):
    """Let nothing of one prosthesis's *intervals* (microseconds, half-open) come in or be read any more, and fold its days again.

    *command_id* is the erasure's, whatever prosthesis it is about; the erasure has *parts* such commands in all. *subject* names the person (see
    ``schemas.erasure``); *customer_gone*: the CRM has no such customer any more. Times in microseconds since the epoch.
    """

    command_id: str
    prosthesis_id: str
    subject: str
    intervals: tuple[tuple[int, int], ...]
    issued_us: int
    parts: int
    customer_gone: bool
    reason: str


Command = Recompute | Delete | Erase

encode_command = msgspec.json.Encoder().encode
decode_command = msgspec.json.Decoder(Command).decode
"""Bytes of a record to the command. Raises msgspec.DecodeError for anything that is none."""
