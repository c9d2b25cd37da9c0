"""Server-sent events as they are on the wire (HTML Standard 9.2), written and read. No input or output of its own."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import NamedTuple

MEDIA_TYPE = "text/event-stream"


class ServerSentEvent(NamedTuple):
    """*event* is "message" where the sender gives no type; *identity* is the event's own ``id``, None where it has none."""

    event: str
    data: str
    identity: str | None


def frame(event: str, data: bytes, identity: str | None = None) -> bytes:
    """One event. *data* is JSON on one line; *identity* holds no line breaks, or ValueError."""
    if b"\n" in data or (identity is not None and ("\n" in identity or "\r" in identity)):
        raise ValueError("a field of an event must be one line")
    head = f"event: {event}\n" + (f"id: {identity}\n" if identity is not None else "")
    return head.encode() + b"data: " + data + b"\n\n"


def retry(milliseconds: int) -> bytes:
    """How long a browser waits before it opens the stream again."""
    return f"retry: {milliseconds}\n\n".encode()


class Reader:
    """Makes events of the lines of one stream, which come without their ends."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> ServerSentEvent | None:
        """The event that *line* completes; None where it completes none. Lines of data are joined by line breaks, comments are left out."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            self._fields[name] = f"{self._fields[name]}\n{value}" if name == "data" and "data" in self._fields else value
            return None
        fields, self._fields = self._fields, {}
        return ServerSentEvent(fields.get("event", "message"), fields["data"], fields.get("id")) if "data" in fields else None


def events(lines: Iterable[str]) -> Iterator[ServerSentEvent]:
    """The events of a stream's *lines*."""
    reader = Reader()
    for line in lines:
        if (event := reader.take(line)) is not None:
            yield event


async def events_async(lines: AsyncIterable[str]) -> AsyncIterator[ServerSentEvent]:
    """As `events`."""
    reader = Reader()
    async for line in lines:
        if (event := reader.take(line)) is not None:
            yield event
