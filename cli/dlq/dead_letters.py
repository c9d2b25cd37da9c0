"""Pure: a record of the dead-letter topic, which of them are meant, and what a replay sends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.keys import CRM_TOPIC, LOG_TOPIC
from stream_processor.adapters.dead_letters import PREFIX

Headers = tuple[tuple[str, bytes], ...]
UNKNOWN = "unknown"


@dataclass(frozen=True)
class DeadLetter:
    """*offset* is its place among the dead letters; *key*, *value* and *headers* are the refused record's own, byte for byte.

    *topic*, *partition*, *origin_offset*: where it was refused; *reason* and *error*: why. A record without these headers is no
    dead letter of ours: *topic* is empty then and it cannot be replayed. *truncated*: which parts of it were cut, because it was too large for
    a dead letter; then *whole_bytes* and *whole_sha256* are of the value as it was.
    """

    offset: int
    refused_at: datetime
    topic: str
    partition: int
    origin_offset: int
    reason: str
    error: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    truncated: str = ""
    whole_bytes: int | None = None
    whole_sha256: str = ""


@dataclass(frozen=True)
class Selection:
    """Which dead letters are meant: those that every criterion given holds for. None of them: all."""

    offsets: frozenset[int] = frozenset()
    reason: str | None = None

    def __contains__(self, letter: DeadLetter) -> bool:
        return (not self.offsets or letter.offset in self.offsets) and (self.reason is None or letter.reason == self.reason)


def parse(offset: int, at: datetime, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> DeadLetter:
    """The record as a dead letter. Never raises: what cannot be read is ``unknown``, -1 or empty."""
    told = {name.removeprefix(PREFIX): (content or b"").decode(errors="replace") for name, content in headers if name.startswith(PREFIX)}
    original = tuple((name, content or b"") for name, content in headers if not name.startswith(PREFIX))
    return DeadLetter(
        offset=offset,
        refused_at=at,
        topic=told.get("topic", ""),
        partition=_number(told.get("partition")),
        origin_offset=_number(told.get("offset")),
        reason=told.get("reason", UNKNOWN),
        error=told.get("error", ""),
        key=key,
        value=value,
        headers=original,
        truncated=told.get("truncated", ""),
        whole_bytes=_number(told["bytes"]) if "bytes" in told else None,
        whole_sha256=told.get("sha256", ""),
    )


def by_reason(letters: Iterable[DeadLetter]) -> dict[str, int]:
    """How many of each reason, the most first."""
    return dict(Counter(letter.reason for letter in letters).most_common())


def refusal(letter: DeadLetter) -> str | None:
    """Why this one must not be sent back, or None.

    Telemetry carries its own order (the LSN), so the log takes it at any later time. The CRM's topic is in commit order and compacted: an old row
    sent again would overwrite a newer one for good.
    """
    if letter.truncated:
        return (
            f"it was too large for a dead letter, {letter.truncated} were cut: the whole record is at {letter.topic}/{letter.partition}, "
            f"offset {letter.origin_offset}, for as long as the topic keeps it; touch the row in its source, so that it is sent anew"
        )
    if letter.topic == LOG_TOPIC:
        return None
    if letter.topic == CRM_TOPIC:
        return f"{CRM_TOPIC} is in commit order, an old row would overwrite a newer one: update the row in the CRM, so that it is sent anew"
    return "it does not say where it came from" if not letter.topic else f"{letter.topic} is no topic that the processor reads"


def summary(letter: DeadLetter) -> dict[str, Any]:
    """Everything but the value, for JSON."""
    return {
        "offset": letter.offset,
        "refused_at": letter.refused_at.isoformat(),
        "topic": letter.topic,
        "partition": letter.partition,
        "origin_offset": letter.origin_offset,
        "reason": letter.reason,
        "error": letter.error,
        "key": text_of(letter.key),
        "value_bytes": None if letter.value is None else len(letter.value),
        "headers": {name: text_of(content) for name, content in letter.headers},
    } | _cut(letter)


def _cut(letter: DeadLetter) -> dict[str, Any]:
    if not letter.truncated:
        return {}
    return {"truncated": letter.truncated, "whole_bytes": letter.whole_bytes, "whole_sha256": letter.whole_sha256}


def text_of(content: bytes | None) -> str | None:
    """Bytes as text; what is no UTF-8 is shown as ``\\x..``."""
    return None if content is None else content.decode(errors="backslashreplace")


def pretty(value: bytes | None) -> str:
    """A JSON value indented, any other as text; a tombstone as such."""
    if value is None:
        return "(no value: a tombstone)"
    try:
        return json.dumps(json.loads(value), ensure_ascii=False, indent=2)
    except ValueError:
        return text_of(value) or ""


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else -1
