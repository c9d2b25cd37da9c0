"""Which loopback port each listener gets: its usual one where that is free, else any free one."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Callable, Mapping

USUAL: Mapping[str, int] = {
    "postgres": 15432,
    "kafka": 19092,
    "kafka_controller": 19093,
    "connect": 18083,
    "clickhouse": 19000,
    "keycloak": 18080,
    "keycloak_management": 19990,
    "redis": 16379,
    "processor": 16066,
    "reports_api": 18001,
    "bff": 8000,
}
ANY = range(20_000, 32_000)
DRAWS = 1_000


def is_free(port: int) -> bool:
    """Whether *port* can be bound on 127.0.0.1 now (a listener that just ended does not count as taken)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def any_free(count: int) -> list[int]:
    """*count* different free ports, drawn from below those that the kernel gives to outgoing connections: of these, one could be taken before the listener binds it.

    Raises RuntimeError where there are not enough.
    """
    drawn: list[int] = []
    for _ in range(DRAWS):
        if len(drawn) == count:
            return drawn
        port = secrets.choice(ANY)
        if port not in drawn and port not in USUAL.values() and is_free(port):
            drawn.append(port)
    raise RuntimeError(f"no {count} free ports between {ANY.start} and {ANY.stop} on 127.0.0.1")


def assign(wanted: Mapping[str, int], free: Callable[[int], bool] = is_free) -> tuple[dict[str, int], list[str]]:
    """Each listener's port (the wanted one if free, else any), and a sentence for each that had to move.

    A wanted port of 0 means any.
    """
    taken = [name for name, port in wanted.items() if port == 0 or not free(port)]
    instead = dict(zip(taken, any_free(len(taken)), strict=True))
    notes = [f"port {wanted[name]} of {name} is taken; using {instead[name]}" for name in taken if wanted[name]]
    return dict(wanted) | instead, notes
