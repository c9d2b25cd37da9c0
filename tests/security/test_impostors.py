"""Whoever takes the port of a server that is away: what they learn from a client that connects again."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import closing

import psycopg
import pytest
from pydantic import SecretStr

from service_kit.settings import PostgresSettings
from tests.support.waiting import PATIENCE_S

PASSWORD = "the-password-itself"
SSL_REQUEST = 80877103
CLEARTEXT, MD5 = struct.pack("!cii", b"R", 8, 3), struct.pack("!cii4s", b"R", 12, 5, b"salt")
TRUST = struct.pack("!cii", b"R", 8, 0) + struct.pack("!cic", b"Z", 5, b"I")


@pytest.mark.parametrize("asks_for", [CLEARTEXT, MD5, TRUST], ids=["the password", "an md5 of it", "nothing"])
def test_an_impostor_of_postgresql_gets_no_password_and_no_client(asks_for: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        heard: list[bytes] = []
        impostor = threading.Thread(target=_impersonate, args=(listening, asks_for, heard))
        impostor.start()
        settings = PostgresSettings(port=listening.getsockname()[1], database="crm", user="auditor", password=SecretStr(PASSWORD))
        with pytest.raises(psycopg.OperationalError, match=r"scram|SCRAM|authentication"):
            psycopg.connect(**settings.conninfo())  # type: ignore[arg-type]  # keyword arguments of mixed types
        impostor.join(timeout=PATIENCE_S)
    assert heard
    assert heard[1:] == [b""]  # after its first message the client has nothing more to say


def _impersonate(listening: socket.socket, asks_for: bytes, heard: list[bytes]) -> None:
    connection, _ = listening.accept()
    with connection:
        first = connection.recv(4096)
        if struct.unpack("!ii", first[:8]) == (8, SSL_REQUEST):
            connection.sendall(b"N")
            first = connection.recv(4096)
        heard.append(first)
        connection.sendall(asks_for)
        heard.append(connection.recv(4096))
