"""The proxies of the tests pass bytes on, break connections when told to, and leave nothing behind."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.tcp_proxy import TcpProxies

LIMIT_S = 5


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(100):
                connection.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT_S)


def test_an_open_gate_passes_bytes_and_a_cut_one_breaks_the_connection(echo: int) -> None:
    gates = TcpProxies()
    gate = gates.make(echo)
    with socket.create_connection(("127.0.0.1", gate.port), LIMIT_S) as before:
        before.sendall(b"hello")
        assert before.recv(10) == b"hello"
        gate.cut()
        with suppress(ConnectionResetError):
            assert before.recv(10) == b""
    with socket.create_connection(("127.0.0.1", gate.port), LIMIT_S) as after:
        after.sendall(b"again")
        assert after.recv(10) == b"again"
    gates.close()


def test_a_gate_that_stalls_is_silent_until_it_opens(echo: int) -> None:
    gates = TcpProxies()
    gate = gates.make(echo)
    gate.stall()
    with socket.create_connection(("127.0.0.1", gate.port), 0.3) as patient:
        patient.sendall(b"hello")
        with pytest.raises(TimeoutError):
            patient.recv(10)
        gate.open()
        patient.settimeout(LIMIT_S)
        assert patient.recv(10) == b"hello"
    gates.close()


def test_closed_gates_leave_neither_loop_nor_socket_nor_connection(echo: int) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        gates = TcpProxies()
        gate = gates.make(echo)
        connection = socket.create_connection(("127.0.0.1", gate.port), LIMIT_S)
        connection.sendall(b"hello")
        assert connection.recv(10) == b"hello"
        gates.close()
        gates.close()
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", gate.port), LIMIT_S)
        del gates, gate
        gc.collect()
    assert [str(warning.message) for warning in seen] == []
