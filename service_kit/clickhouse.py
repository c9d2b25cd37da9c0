"""Clients of clickhouse-driver, made from settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clickhouse_driver import Client

from service_kit.settings import ClickHouseSettings


def client(settings: ClickHouseSettings, database: str = "", /, **options: Any) -> Client:
    """A client that connects when it is first used. It serves one thread at a time.

    *database* is where unqualified names are looked up. *options* are the driver's; they win over the settings.
    """
    said: dict[str, Any] = {
        "port": settings.port,
        "database": database,
        "user": settings.user,
        "password": settings.password.get_secret_value(),
        "secure": settings.secure,
        "ca_certs": str(settings.ca_file) if settings.ca_file else None,
        "connect_timeout": settings.connect_timeout_s,
        "send_receive_timeout": settings.send_receive_timeout_s,
    }
    return Client(settings.host, **said | options)


@contextmanager
def connected(settings: ClickHouseSettings, database: str = "", /, **options: Any) -> Iterator[Client]:
    """A client for the block. It is disconnected at the end of the block. Errors are clickhouse_driver's."""
    made = client(settings, database, **options)
    try:
        yield made
    finally:
        made.disconnect()
