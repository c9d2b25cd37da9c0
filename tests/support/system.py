"""The system under test: real servers, started when first asked for, once a run, and stopped at its end.

``--backend`` chooses what starts them. A backend starts servers by name and says where they are: each is a class with the same methods in BACKENDS.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from connectors.accounts import BROKER, SERVICES
from local import environments, machine, orphans, services, steps, supervision
from local import system as servers
from local.__main__ import forget
from local.instance import Instance, existing, open_instance
from local.servers import airflow
from local.servers.postgres import SUPERUSER
from tests.support import server_data
from tests.support.endpoints import (
    Account,
    ClickHouseEndpoint,
    ConnectEndpoint,
    KafkaEndpoint,
    KeycloakEndpoint,
    PostgresEndpoint,
    RedisEndpoint,
)
from tests.support.kept_logs import RUN

LOOPBACK = "127.0.0.1"
# Somebody's home folder has a name like this: every server of every test runs in one.
ODD_NAME = 'bionicpro-test it\'s "Отчёты" '
POSTGRES_ROLES = ("crm_owner", "crm_app", "telemetry_owner", "telemetry_ingest", "debezium", "auditor", "watcher")
CLICKHOUSE_USERS = ("migrator", "writer", "eraser", "watcher", "reader", "finder", "auditor", "recorder")


class Backend(Protocol):
    """``begin`` starts servers without waiting (again: no effect); ``wait`` returns when one is ready; ``end`` stops what was started.

    ``stop`` and ``start`` are for a server that runs: it ends orderly, and comes again with its data, at its port; neither waits until it answers.
    ``save`` copies the data of a server that is stopped, ``restore`` puts the copy in their place. ``variables`` are those of a process of ours. ``reach`` is where servers reach a program of ours that listens at *port* of loopback.
    """

    @property
    def instance(self) -> Instance: ...

    def variables(self, process: str) -> dict[str, str]: ...

    def reach(self, port: int) -> str: ...

    def begin(self, names: Iterable[str]) -> None: ...

    def wait(self, name: str) -> None: ...

    def stop(self, name: str) -> None: ...

    def start(self, name: str) -> None: ...

    def save(self, name: str) -> None: ...

    def restore(self, name: str) -> None: ...

    def end(self) -> None: ...


class Supervised(ABC):
    """What all instances have in common whose servers are processes under a supervisor."""

    @property
    @abstractmethod
    def instance(self) -> Instance: ...

    def variables(self, process: str) -> dict[str, str]:
        return environments.all_of(self.instance)[process]

    def reach(self, port: int) -> str:
        return f"http://{LOOPBACK}:{port}"

    def stop(self, name: str) -> None:
        supervision.stop_programs(self.instance, [name])

    def start(self, name: str) -> None:
        supervision.start_programs(self.instance, [name])

    def save(self, name: str) -> None:
        server_data.save(server_data.data_of(self.instance, name))

    def restore(self, name: str) -> None:
        server_data.restore(server_data.data_of(self.instance, name))


class LocalBackend(Supervised):
    """An instance of its own in a temporary folder, on free ports."""

    def __init__(self) -> None:
        self._instance: Instance | None = None
        self._started: dict[str, Future[None]] = {}
        self._lock = threading.Lock()

    @property
    def instance(self) -> Instance:
        with self._lock:
            if self._instance is None:
                self._instance = self._open()
            return self._instance

    def begin(self, names: Iterable[str]) -> None:
        instance = self.instance
        with self._lock:
            fresh = [name for name in servers.with_needs(names) if name not in self._started]
            self._started |= servers.starting(instance, fresh, _unreported)

    def wait(self, name: str) -> None:
        self.begin([name])
        self._started[name].result()

    def end(self) -> None:
        if self._instance is not None:
            if not supervision.stop(self._instance):
                orphans.end(self._instance)
            RUN.keep(self._instance.logs)
            forget(self._instance)

    def _open(self) -> Instance:
        folder = Path(tempfile.mkdtemp(prefix=ODD_NAME))
        instance, _ = open_instance(folder, usual_ports=False)
        programs = [server.program(instance) for server in servers.SERVERS.values()]
        try:
            supervision.start(instance, [*programs, *services.programs(instance), *airflow.programs(instance)])
        except BaseException:
            shutil.rmtree(folder)
            raise
        return instance


class RunningBackend(Supervised):
    """An instance that somebody started (``python -m local start --instance FOLDER``); it is left running."""

    def __init__(self, folder: Path) -> None:
        self._instance = existing(folder)

    @property
    def instance(self) -> Instance:
        return self._instance

    def begin(self, names: Iterable[str]) -> None:
        """Nothing to start: what does not run makes ``wait`` fail."""

    def wait(self, name: str) -> None:
        if not servers.is_ready(self.instance, name):
            raise servers.NotReadyError(f"{name} of the instance {self.instance.folder} does not answer")

    def end(self) -> None:
        """It is not ours to stop."""


def _containers() -> Backend:
    from tests.support.containers import ContainersBackend  # noqa: PLC0415  its client of the engine is loaded only where it is used

    return ContainersBackend()


BACKENDS: Mapping[str, Callable[[], Backend]] = {"local": LocalBackend, "containers": _containers}


def usual_backend() -> str:
    """The backend for this machine: the servers' packages are for Linux, and `make prepare` fetches them there; elsewhere they come as containers."""
    return "local" if machine.unsupported(platform.system(), platform.machine(), sys.version_info[:2]) is None else "containers"


class System:
    """Asking for an endpoint starts its server and waits until it is ready."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._done: set[str] = set()

    @property
    def instance(self) -> Instance:
        return self.backend.instance

    @property
    def postgres(self) -> PostgresEndpoint:
        self.backend.wait("postgres")
        secrets = self.instance.secrets
        accounts = {SUPERUSER: Account(SUPERUSER, secrets[SUPERUSER])} | {role: Account(role, secrets[role]) for role in POSTGRES_ROLES}
        return PostgresEndpoint(LOOPBACK, self.instance.ports["postgres"], accounts)

    @property
    def kafka(self) -> KafkaEndpoint:
        self.backend.wait("kafka")
        secrets = self.instance.secrets
        accounts = {BROKER: Account(BROKER, secrets["kafka_broker"])} | {user: Account(user, secrets[f"kafka_{user}"]) for user in SERVICES}
        return KafkaEndpoint(f"{LOOPBACK}:{self.instance.ports['kafka']}", accounts)

    @property
    def connect(self) -> ConnectEndpoint:
        self.backend.wait("connect")
        account = Account("operator", self.instance.secrets["connect_operator"])
        return ConnectEndpoint(f"http://{LOOPBACK}:{self.instance.ports['connect']}", account)

    @property
    def clickhouse(self) -> ClickHouseEndpoint:
        self.backend.wait("clickhouse")
        accounts = {user: Account(user, self.instance.secrets[f"clickhouse_{user}"]) for user in CLICKHOUSE_USERS}
        return ClickHouseEndpoint(LOOPBACK, self.instance.ports["clickhouse"], accounts)

    @property
    def keycloak(self) -> KeycloakEndpoint:
        self.backend.wait("keycloak")
        secrets = self.instance.secrets
        return KeycloakEndpoint(
            base_url=f"http://{LOOPBACK}:{self.instance.ports['keycloak']}",
            public_url=self.instance.keycloak_url,
            realm="bionicpro",
            admin=Account("admin", secrets["keycloak_admin"]),
            client=Account("bionicpro-bff", secrets["bff_client"]),
            page=self.instance.page,
        )

    @property
    def redis(self) -> RedisEndpoint:
        self.backend.wait("redis")
        return RedisEndpoint(LOOPBACK, self.instance.ports["redis"], Account("bff", self.instance.secrets["redis_bff"]))

    def variables(self, process: str) -> dict[str, str]:
        """The ``BIONICPRO_…`` variables of *process* (processor, reports-api, bff, simulator, migrator, operator, keycloak)."""
        return self.backend.variables(process)

    def carry_out(self, wanted: Iterable[steps.Step]) -> None:
        """Run the start's steps that were not run yet, in order, each after its servers are ready."""
        for step in wanted:
            if step.name not in self._done:
                for need in step.needs:
                    self.backend.wait(need)
                step.run(self.instance)
                self._done.add(step.name)

    def start_services(self, *names: str) -> None:
        """Start programs of ours under the instance's supervisor; stopped with it."""
        supervision.start_programs(self.instance, names)


def _unreported(_line: str) -> None:
    """A test run has no use for progress lines."""
