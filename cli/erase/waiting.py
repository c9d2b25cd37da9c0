"""Follow one erasure from the request to the receipt."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from cli.broker import Broker
from cli.erase.records import Erasure, Records
from schemas.keys import CRM_TOPIC, LOG_TOPIC

POLL_S = 0.5
Progress = Callable[[str], None]


class UnfinishedError(RuntimeError):
    """The time is over. The erasure goes on by itself; the message says how far it is and what to look at."""


def follow(records: Records, broker: Broker, identity: str, offset: int, *, wait_s: float, progress: Progress) -> Erasure | None:
    """The finished erasure *identity*, asked for at *offset* of the CRM's topic; None where there was nothing to erase.

    Raises UnfinishedError, KafkaException.
    """
    until = time.monotonic() + wait_s
    while records.handled(CRM_TOPIC).get(0, -1) < offset:
        progress("the directory has not handled the request yet")
        _pause(until, "the directory has not handled the request: is the processor running? (`bionicpro status`)")
    # What the directory sent is in the log now: once all of that is handled, all rules are stored.
    ends = broker.topics([LOG_TOPIC])[LOG_TOPIC].ends
    while not (complete := _rules_are_complete(records, identity)) and not _handled(records.handled(LOG_TOPIC), ends):
        progress("the processor stores the rules")
        _pause(until, "the processor has not stored the rules: is it running? (`bionicpro status`)")
    if not complete and not records.erasures(identity):
        return None
    while not (erasure := records.erasures(identity)[0]).is_finished:
        progress(_how_far(erasure))
        _pause(until, f"{_how_far(erasure)}: is the eraser running? `bionicpro erase --list` tells when it is done")
    return erasure


def _rules_are_complete(records: Records, identity: str) -> bool:
    found = records.erasures(identity)
    return bool(found) and len(found[0].parts) == found[0].expected


def _handled(handled: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    """Heartbeats come after whatever was there, so the end itself, which may be a transaction's marker, is passed soon."""
    return all(handled.get(partition, -1) >= end - 1 for partition, end in ends.items() if end)


def _how_far(erasure: Erasure) -> str:
    cleared = sum(part.removed_at is not None for part in erasure.parts)
    return f"{erasure.expected} prostheses: {cleared} removed, {erasure.finished} looked for again and done"


def _pause(until: float, problem: str) -> None:
    if time.monotonic() > until:
        raise UnfinishedError(f"{problem}. The erasure goes on by itself.")
    time.sleep(POLL_S)
