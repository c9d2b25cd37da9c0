"""Other accounts of the machine, and web pages in its browsers, against everything that the local form starts: each listening socket, each file."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import paths, supervision
from local.instance import Instance
from tests.support.strangers import TRANSACTIONS, TRIES
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65_533  # an account that owns nothing; PostgreSQL may run as `nobody` itself
LISTENING = "0A"
STRANGERS = (0, NOBODY) if os.geteuid() == 0 else (0,)
LIMIT_S = 420
OPEN_IT = """
import json, os, sys
paths, account = json.load(sys.stdin), int(sys.argv[1])
os.setgroups([]); os.setgid(account); os.setuid(account)
def opened(path):
    try:
        os.listdir(path) if os.path.isdir(path) else os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
print(json.dumps([path for path in paths if opened(path)]))
"""


def children_of(roots: set[int]) -> set[int]:
    """*roots* and every process below them."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it has just ended
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def sockets_of(pids: set[int]) -> set[str]:
    """The inodes of their sockets."""
    found = set()
    for pid in pids:
        try:
            entries = list(Path(f"/proc/{pid}/fd").iterdir())
        except FileNotFoundError:
            continue  # it has just ended, and listens no more
        for entry in entries:
            try:
                target = str(entry.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def listening_ports(inodes: set[str]) -> set[int]:
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return {int(line[1].rpartition(":")[2], 16) for line in lines if line[3] == LISTENING and line[9] in inodes}


def owners_of(port: int, instance: Instance) -> list[str]:
    """The command lines of the processes that listen on *port*."""
    holders = [pid for pid in started(instance) if port in listening_ports(sockets_of({pid}))]
    return [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[-200:] for pid in holders]


def unix_sockets(inodes: set[str]) -> set[str]:
    lines = [line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text().splitlines()[1:]]  # a path may have spaces
    return {line[7] for line in lines if len(line) > 7 and line[6] in inodes}


def started(instance: Instance) -> set[int]:
    supervisor = int((instance.folder / "supervisord.pid").read_text())
    return children_of({supervisor})


@pytest.mark.parametrize("account", STRANGERS)
def test_no_listening_socket_serves_somebody_without_a_secret(demo: System, account: int) -> None:
    found = listening_ports(sockets_of(started(demo.instance)))
    keycloak = next(state.pid for state in supervision.states_of(demo.instance) if state.name == "keycloak")
    names = dict.fromkeys(listening_ports(sockets_of({keycloak})), TRANSACTIONS) | {
        port: name for name, port in demo.instance.ports.items()
    }
    assert sum(name == TRANSACTIONS for name in names.values()) <= 1
    assert len(found) >= 10
    unknown = {port: owners_of(port, demo.instance) for port in found if names.get(port) not in TRIES}
    assert unknown == {}, "a listener that no test knows: say in tests/support/strangers.py what it must refuse"
    listeners = json.dumps({names[port]: ("127.0.0.1", port) for port in found})
    command = [sys.executable, "-m", "tests.support.strangers", str(account)]
    done = subprocess.run(command, input=listeners, capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert {name: granted for name, granted in json.loads(done.stdout).items() if granted} == {}


def test_the_supervisors_socket_is_its_owners_alone(demo: System) -> None:
    assert {Path(path) for path in unix_sockets(sockets_of(started(demo.instance))) if path.startswith("/")} <= supervisor_paths(
        demo.instance
    )
    assert opened_by_a_stranger([demo.instance.socket]) == []
    assert demo.instance.socket.stat().st_mode & 0o077 == 0


def supervisor_paths(instance: Instance) -> set[Path]:
    return {instance.socket, *(Path(f"{instance.socket}.{pid}") for pid in started(instance))}


def everything_of(instance: Instance) -> list[Path]:
    """Every file and folder that the instance has: data, configuration, logs, environments, and PostgreSQL's folder elsewhere."""
    return [path for root in (instance.folder, paths.ROOT_DATA / instance.identifier) for path in walked(root)]


def walked(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        yield from (Path(folder) / name for name in (*folders, *files))
        if Path(folder).name == "lib":  # Keycloak's programs, linked: everybody may read them
            folders.clear()


def opened_by_a_stranger(wanted: list[Path]) -> list[str]:
    """Those that another account can read or list; by the modes alone where we are not root and cannot become another."""
    if os.geteuid() != 0:
        return [str(path) for path in wanted if reachable(path)]
    command = [sys.executable, "-c", OPEN_IT, str(NOBODY)]
    done = subprocess.run(
        command, input=json.dumps([str(path) for path in wanted]), capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def reachable(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o004) and all(parent.stat().st_mode & 0o001 for parent in path.parents)
    except FileNotFoundError:
        return False


def test_no_file_of_the_system_can_be_read_or_listed_by_another_account(demo: System) -> None:
    found = [
        path
        for path in everything_of(demo.instance)
        if path.resolve().is_relative_to(demo.instance.folder) or paths.ROOT_DATA in path.parents
    ]
    parts = {path.relative_to(demo.instance.folder).parts[:2] for path in found if path.is_relative_to(demo.instance.folder)}
    assert {("data", "keycloak"), ("data", "redis"), ("data", "clickhouse"), ("data", "kafka")} <= parts
    assert opened_by_a_stranger(found) == []


def test_every_file_that_a_program_writes_is_its_owners_alone(demo: System) -> None:
    """Behind folders that nobody enters, and still: a copy or a link must not show them."""
    roots = [demo.instance.folder / part for part in ("config", "logs", "env", "data")]
    files = [path for root in roots for path in walked(root) if path.is_file() and not path.is_symlink()]
    assert len(files) > 50
    ours = [path for path in files if "lib" not in path.parts]
    assert [str(path) for path in ours if path.exists() and path.stat().st_mode & 0o077] == []


def test_connects_login_is_asked_in_every_form_of_its_requests(demo: System) -> None:
    """Also a request that a browser sends by itself, and one with the start of a login."""
    with socket.create_connection(("127.0.0.1", demo.instance.ports["connect"]), timeout=PATIENCE_S) as connection:
        connection.sendall(
            b"POST /connectors/crm/restart HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic b3BlcmF0b3I6\r\nContent-Length: 0\r\n\r\n"
        )
        assert b" 401 " in connection.recv(4096).split(b"\r\n", 1)[0]
