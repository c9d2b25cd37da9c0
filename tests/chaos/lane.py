"""The servers of a lane: an instance of its own, with gates where its connections pass, whose programs can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from local import environments, orphans, services, steps, supervision
from local import system as servers
from local.__main__ import forget
from local.instance import Instance, existing, open_instance, write_private
from local.ports import any_free
from tests.chaos import small_disk
from tests.support.erasure import let_files_go, short_waits
from tests.support.server_data import data_of
from tests.support.tcp_proxy import TcpProxies, TcpProxy

NAMES = ("postgres", "kafka", "connect", "clickhouse")
ERASER, WATCH = "eraser", "watch"
READY_LIMIT_S = 240.0
SESSION_S = "6"  # shorter than a freeze
Report = Callable[[str], None]


class Lane:
    """Made in *folder*, which must not exist. Only what this lane's supervisor started is ever signalled."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._report = report
        self.instance, _ = open_instance(folder, usual_ports=False)
        self._one_at_a_time = threading.RLock()  # who stops and starts servers
        self._gates = TcpProxies()
        ports = self.instance.ports
        self._gated_kafka = any_free(1)[0]
        self.gates: dict[str, TcpProxy] = {
            "clickhouse": self._gates.make(ports["clickhouse"]),
            "kafka": self._gates.make(self._gated_kafka),
            "postgres": self._gates.make(ports["postgres"]),
        }

    # -- life -----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Servers, then what a start does with them (databases, tables, topics, connectors)."""
        instance = self.instance
        environments.write_all(instance)
        self._send_connect_through_its_gate()
        self._hurry()
        ours = [program for program in services.programs(instance) if program.name in {ERASER, WATCH}]
        supervision.start(instance, [*(servers.SERVERS[name].program(instance) for name in NAMES), *ours])
        for name in NAMES:
            servers.SERVERS[name].prepare(instance)
            if name == "kafka":
                self._add_gated_listener()
            supervision.start_programs(instance, [name])
            if name in servers.SETTLING:
                self.wait(name)
                servers.SETTLING[name](instance)  # its accounts, without which nobody else gets in
        for name in NAMES:
            self.wait(name)
        for step in steps.PIPE:
            step.run(instance)
            self._report(f"{step.name}: done")
        self.let_files_go()
        supervision.start_programs(instance, [ERASER])

    def stop(self, *, keep: bool = False) -> None:
        """Stop everything; *keep* leaves the folder for a look."""
        if not supervision.stop(self.instance):
            orphans.end(self.instance)
        self._gates.close()
        release_disks(self.instance)
        if not keep:
            forget(self.instance)

    def wait(self, name: str, limit_s: float = READY_LIMIT_S) -> None:
        """Until server *name* is ready. Raises RuntimeError at the limit."""
        if not supervision.wait_until(lambda: servers.is_ready(self.instance, name), limit_s):
            raise RuntimeError(f"{name} is not ready after {limit_s:.0f} s; see {self.instance.logs / f'{name}.log'}")

    # -- faults ---------------------------------------------------------------------------------------------------------

    def kill(self, name: str, down_s: float) -> None:
        """``kill -9``; the supervisor starts it again, at once or after *down_s*."""
        with self._one_at_a_time:
            pid = next(state.pid for state in supervision.states_of(self.instance) if state.name == name)
            if pid:
                os.kill(pid, signal.SIGKILL)
            if down_s:
                supervision.stop_programs(self.instance, [name])
                time.sleep(down_s)
                supervision.start_programs(self.instance, [name])

    def calm(self) -> None:
        """Every gate open, every server asked to run."""
        for gate in self.gates.values():
            gate.open()
        with self._one_at_a_time:
            supervision.start_programs(self.instance, [*NAMES, ERASER])

    @contextmanager
    def stopped(self, name: str) -> Iterator[Path]:
        """Server *name* rests during the block, which is given its data folder; ready again afterwards. Nobody else starts it meanwhile."""
        with self._one_at_a_time:
            supervision.stop_programs(self.instance, [name])
            try:
                yield data_of(self.instance, name)
            finally:
                supervision.start_programs(self.instance, [name])
        self.wait(name)

    def start_watch(self) -> None:
        supervision.start_programs(self.instance, [WATCH])

    def stop_watch(self) -> None:
        supervision.stop_programs(self.instance, [WATCH])

    # -- addresses ------------------------------------------------------------------------------------------------------

    def postgres(self, database: str, user: str) -> dict[str, Any]:
        """Keyword arguments of ``psycopg.connect``, past the gate."""
        port = self.instance.ports["postgres"]
        return {"host": "127.0.0.1", "port": port, "dbname": database, "user": user, "password": self.instance.secrets[user]}

    def worker_variables(self) -> dict[str, str]:
        """A processor's settings, its servers behind the gates."""
        return environments.all_of(self.instance)["processor"] | {
            "BIONICPRO_CLICKHOUSE__PORT": str(self.gates["clickhouse"].port),
            "BIONICPRO_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{self.gates['kafka'].port}",
            "BIONICPRO_PROCESSOR__SESSION_TIMEOUT_S": SESSION_S,
        }

    def operator_variables(self) -> dict[str, str]:
        return environments.all_of(self.instance)["operator"]

    def _send_connect_through_its_gate(self) -> None:
        port = str(self.gates["postgres"].port)
        variables = environments.all_of(self.instance)["connect"]
        self._write_environment("connect", {name: port if name.endswith("_DB__PORT") else value for name, value in variables.items()})

    def _hurry(self) -> None:
        variables = environments.all_of(self.instance)
        self._write_environment(ERASER, variables[ERASER] | short_waits(sweep_s=2.0))
        self._write_environment(WATCH, variables[WATCH] | {"BIONICPRO_WATCH__INTERVAL_S": "1"})

    def _write_environment(self, name: str, variables: Mapping[str, str]) -> None:
        write_private(self.instance.env_file(name), "".join(f"{key}={value}\n" for key, value in variables.items()))

    def let_files_go(self) -> None:
        """Of all generations that there are now. Idempotent."""
        with self.migrator() as client:
            let_files_go(client)

    @contextmanager
    def migrator(self) -> Iterator[Client]:
        """ClickHouse with the account that may change everything, past the gate."""
        ports, secrets = self.instance.ports, self.instance.secrets
        client = Client(
            "127.0.0.1", port=ports["clickhouse"], user="migrator", password=secrets["clickhouse_migrator"], database="bionicpro"
        )
        try:
            yield client
        finally:
            client.disconnect()

    def _add_gated_listener(self) -> None:
        """A second listener whose advertised address is the gate, so that whoever comes through the gate stays behind it."""
        file = self.instance.config("kafka.properties")
        inside, outside = f"GATED://127.0.0.1:{self._gated_kafka}", f"GATED://127.0.0.1:{self.gates['kafka'].port}"
        lines = []
        for line in file.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            more = {"listeners": inside, "advertised.listeners": outside, "listener.security.protocol.map": "GATED:SASL_PLAINTEXT"}.get(
                name
            )
            lines.append(f"{name}={value},{more}" if more else line)
            if name.startswith("listener.name.clients."):
                lines.append(line.replace("clients", "gated", 1))
        write_private(file, "\n".join(lines) + "\n")


def release_disks(instance: Instance) -> None:
    """Whatever a schedule that did not end well has left mounted over data."""
    for name in NAMES:
        small_disk.release(data_of(instance, name))


def fresh(folder: Path) -> Path:
    """*folder*, emptied of an earlier lane that did not end well."""
    if (folder / "instance.json").exists():
        left = existing(folder)
        if not supervision.stop(left):
            orphans.end(left)
        release_disks(left)
        forget(left)
    shutil.rmtree(folder, ignore_errors=True)
    return folder
