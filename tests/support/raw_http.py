"""Requests written onto the wire as they are, which no client library has tidied."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from typing import Any

from tests.support.waiting import PATIENCE_S


@dataclass(frozen=True)
class RawAnswer:
    """The first answer on a connection that the server has closed; *rest*: what came after its body."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes = b""

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json", self
        content: dict[str, Any] = json.loads(self.body)
        return content


def exchanged(port: int, request: bytes) -> RawAnswer | None:
    """The answer to *request*, read until the server closes the connection; None where it closes without a word."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        while chunk := _received(connection):
            received += chunk
    return parsed(received) if received else None


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionResetError:  # closed with unread bytes of ours
        return b""


def parsed(received: bytes) -> RawAnswer:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", len(body)))
    return RawAnswer(int(first.split(" ")[1]), headers, body[:length], body[length:])


async def exchange(port: int, request: bytes) -> RawAnswer:
    """As `exchanged`, for the tests of a loop; there must be an answer."""
    answer = await asyncio.to_thread(exchanged, port, request)
    assert answer is not None, request[:80]
    return answer


def request(target: str, host: str, *lines: bytes, method: str = "GET", body: bytes = b"") -> bytes:
    """A request for *target* with further header *lines*, after whose answer the connection is to be closed."""
    head = [f"{method} {target} HTTP/1.1".encode(), f"Host: {host}".encode(), b"Connection: close", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body
