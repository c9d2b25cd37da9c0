"""Who listens on a port of this machine: whether it is a process of one supervisor. Linux, standard library only.

A port says nothing about who answers there. Before a secret is sent to one, or an answer is believed, its listener is looked up in the kernel's
tables: it must be a process that our supervisor started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PROC = Path("/proc")
TABLES = ("net/tcp", "net/tcp6")
LISTENING = "0A"


@dataclass(frozen=True)
class Listener:
    """One listening socket: its inode, and the account that made it."""

    inode: int
    uid: int


def belongs(port: int, supervisor: int) -> bool:
    """Whether something listens on *port*, on whichever address, and every such socket is held by a process that *supervisor* started."""
    found = listeners(port)
    if not found:
        return False
    ours = descendants(supervisor, parents())
    return all(any(_holds(pid, listener) for pid in ours) for listener in found)


def listeners(port: int) -> list[Listener]:
    """What listens on *port* in this network namespace."""
    return [listener for table in TABLES for listener in parse(_text(PROC / table), port)]


def parse(table: str, port: int) -> list[Listener]:
    """The listeners on *port* of the text of ``/proc/net/tcp`` or ``tcp6``."""
    rows = (line.split() for line in table.splitlines()[1:])
    return [Listener(int(row[9]), int(row[7])) for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port]


def descendants(ancestor: int, parents: Mapping[int, int]) -> set[int]:
    """The processes that *ancestor* started, and theirs; *parents* maps each process to its parent."""
    found = {ancestor}
    while fresh := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= fresh
    return found - {ancestor}


def supervisor_of(folder: Path) -> int | None:
    """The process id of the supervisor of the instance in *folder*; None while none runs."""
    try:
        pid = int((folder / "supervisord.pid").read_text(encoding="ascii"))
        command = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(folder / "config" / "supervisord.conf") in command else None


def _holds(pid: int, listener: Listener) -> bool:
    """Whether *pid* has the socket open. Where its descriptors may not be read (another account's process), its account must be the socket's."""
    process = PROC / str(pid)
    try:
        return any(_target(entry) == f"socket:[{listener.inode}]" for entry in (process / "fd").iterdir())
    except PermissionError:
        return listener.uid in _uids(_text(process / "status"))
    except OSError:  # it has just ended
        return False


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except PermissionError:
        raise
    except OSError:  # closed meanwhile
        return ""


def _uids(status: str) -> set[int]:
    return {int(uid) for line in status.splitlines() if line.startswith("Uid:") for uid in line.split()[1:3]}


def parents() -> dict[int, int]:
    """Every process of this machine that can be seen, with its parent."""
    stats = ((int(entry.name), _text(entry / "stat")) for entry in PROC.iterdir() if entry.name.isdigit())
    return dict(_parent(pid, stat) for pid, stat in stats if stat)


def _parent(pid: int, stat: str) -> tuple[int, int]:
    """The parent's id is the second field after the process's name, which stands in parentheses and may hold any character."""
    return pid, int(stat.rpartition(")")[2].split()[1])


def _text(file: Path) -> str:
    """The file's text. It is empty where the file cannot be read: the process has ended, or this kernel has no such table."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def port_of(address: str) -> int:
    """The port of ``host:port``, ``host:port/path`` or ``http://host:port/path``. Raises ValueError where it has none."""
    port = urlsplit(address if "://" in address else f"//{address}").port
    if port is None:
        raise ValueError(f"{address} names no port")
    return port
