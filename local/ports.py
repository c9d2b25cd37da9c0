"""Which loopback port each listener gets: its usual one where that is free, else any free one; and holding it until the listener binds it.

A port is held by a name of the kernel's: an abstract Unix socket. Such a name belongs to one process at a time, is seen by every account of the
machine, stands in the same network namespace as the port itself, and is gone with the process that holds it, however that ends. The supervisor
inherits what was reserved for its programs and holds it as long as it runs, also while a program is started again.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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
    "airflow": 18090,
}
ANY = range(20_000, 32_000)
DRAWS = 1_000

Claim = Callable[[int], int | None]


@dataclass
class Reservation:
    """Ports held for the listeners of one instance. ``descriptors`` hold them; they are closed by ``release``, or with this object."""

    ports: dict[str, int]
    descriptors: list[int] = field(repr=False)

    def __post_init__(self) -> None:
        self._closing = weakref.finalize(self, _close, self.descriptors)

    def release(self) -> None:
        """Hold them no longer here; a process that inherited them still does. Idempotent."""
        self._closing()


def reserve(wanted: Mapping[str, Sequence[int]]) -> tuple[Reservation, list[str]]:
    """Hold a port for each listener: the first of *wanted* that can be had, else any; and a sentence for each that could have none of its own."""
    chosen, descriptors, notes = assign(wanted, claim)
    return Reservation(chosen, descriptors), notes


def assign(wanted: Mapping[str, Sequence[int]], claim: Claim) -> tuple[dict[str, int], list[int], list[str]]:
    """Each listener's port, what holds it, and the notes. *claim* gives a descriptor that holds a port, or None where it cannot be had.

    Raises RuntimeError where there are not enough; nothing is held then.
    """
    chosen: dict[str, int] = {}
    descriptors: list[int] = []
    notes: list[str] = []
    for name, candidates in wanted.items():
        found = _first(candidates, claim) or _any(claim)
        if found is None:
            _close(descriptors)
            raise RuntimeError(f"no free port for {name} between {ANY.start} and {ANY.stop} on 127.0.0.1")
        chosen[name] = found[0]
        descriptors.append(found[1])
        if candidates and found[0] != candidates[0]:
            notes.append(f"port {candidates[0]} of {name} is taken; using {found[0]}")
    return chosen, descriptors, notes


def claim(port: int) -> int | None:
    """A descriptor that holds *port* until it is closed; None where another process holds it or listens on it."""
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0bionicpro-port-{port}")
    except OSError as error:
        holder.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    if not is_free(port):
        holder.close()
        return None
    return holder.detach()


def is_free(port: int) -> bool:
    """Whether *port* can be bound on 127.0.0.1 and ::1 now: browsers try both for ``localhost``. A listener that just ended does not count as taken."""
    return _bindable(socket.AF_INET, ("127.0.0.1", port)) and _bindable(socket.AF_INET6, ("::1", port))


def _bindable(family: socket.AddressFamily, address: tuple[str, int]) -> bool:
    try:
        probe = socket.socket(family)
    except OSError:  # no IPv6 here
        return True
    with probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            if error.errno != errno.EADDRNOTAVAIL:  # no such address here: nobody can listen on it either
                raise
    return True


def any_free(count: int) -> list[int]:
    """*count* different free ports for who binds them at once. Raises RuntimeError where there are not enough."""
    reservation, _ = reserve({str(number): () for number in range(count)})
    reservation.release()
    return list(reservation.ports.values())


def _first(candidates: Sequence[int], claim: Claim) -> tuple[int, int] | None:
    for port in candidates:
        if (holding := claim(port)) is not None:
            return port, holding
    return None


def _any(claim: Claim) -> tuple[int, int] | None:
    """A port drawn from below those that the kernel gives to outgoing connections: of these, one could be taken before the listener binds it."""
    usual = set(USUAL.values())
    return _first([port for port in (ANY.start + secrets.randbelow(len(ANY)) for _ in range(DRAWS)) if port not in usual], claim)


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())
