"""Servers that are killed in the middle of an answer, or speak something else: they count as away, and nothing else breaks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import supervision
from local.instance import Instance
from local.launch import answers

HALF = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 10973\r\n\r\n<?xml version='1.0'?>"


@contextmanager
def answering(server: socket.socket, answer: bytes) -> Iterator[None]:
    """One client at *server* gets *answer*, and then the connection ends."""

    def serve() -> None:
        client, _ = server.accept()
        with client:
            asked = client.recv(65_536)
            while asked.startswith(b"POST") and b"</methodCall>" not in asked:
                asked += client.recv(65_536)
            client.sendall(answer)

    server.listen(1)
    server.settimeout(30)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)
        server.close()


def test_a_supervisor_that_is_killed_while_it_answers_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "s"
    monkeypatch.setattr(Instance, "socket", place)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(place))
    with answering(server, HALF), pytest.raises(supervision.UNREACHABLE):
        supervision.states_of(Instance.__new__(Instance))


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 2", b""])
def test_who_speaks_something_else_does_not_answer(answer: bytes) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with answering(server, answer):
        assert not answers(f"http://127.0.0.1:{server.getsockname()[1]}/health")
