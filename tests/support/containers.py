"""The servers as containers: what ``pytest --backend=containers`` starts, by testcontainers. Our own programs stay processes under a supervisor."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from docker.models.containers import Container
from docker.types import Mount
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.network import Network

from local import environments, services, supervision
from local import system as servers
from local.__main__ import forget
from local.instance import Instance, open_instance, write_private
from local.servers.program import Program
from tests.support import composed
from tests.support.kept_logs import RUN
from tests.support.tcp_proxy import TcpProxies

READY_LIMIT_S = 900.0
PAUSE_S = 0.2
LAST_LINES = 5
OWNER = "bionicpro.tests.process"
"""The label with the process that started a container or network: what it left when it was killed is removed by the next run."""
VOLUMES = "bionicpro-tests-"
LOGOUTS_TO = "BIONICPRO_BFF_BACKCHANNEL_URL"
LOCAL_ALONE = "BIONICPRO_STATUS__INSTANCE"
"""With it `status` believes no listener that the instance's supervisor did not start; those of containers are the engine's."""


class ContainersBackend:
    """An instance whose servers are containers in a network of its own, published at the instance's ports on loopback."""

    def __init__(self) -> None:
        self._instance: Instance | None = None
        self._network: Network | None = None
        self._containers: dict[str, DockerContainer] = {}
        self._started: dict[str, Future[None]] = {}
        self._gates: TcpProxies | None = None
        self._reached: set[int] = set()
        self._lock = threading.RLock()

    @property
    def instance(self) -> Instance:
        with self._lock:
            if self._instance is None:
                self._instance = self._open()
            return self._instance

    def variables(self, process: str) -> dict[str, str]:
        return self._variables(self.instance)[process]

    def reach(self, port: int) -> str:
        assert self.instance
        return self._reach(port)

    def begin(self, names: Iterable[str]) -> None:
        with self._lock:
            fresh = [name for name in servers.with_needs(names) if name not in self._started]
            if not fresh:
                return
            definitions = composed.definitions(self.instance)
            pool = ThreadPoolExecutor(max_workers=len(fresh), thread_name_prefix="starting")
            for name in fresh:
                needed = [self._started[need] for need in servers.NEEDS.get(name, ())]
                self._started[name] = pool.submit(self._bring_up, name, definitions[name], needed)
            pool.shutdown(wait=False)

    def wait(self, name: str) -> None:
        self.begin([name])
        self._started[name].result()

    def stop(self, name: str) -> None:
        self._wrapped(name).stop(timeout=composed.definitions(self.instance)[name].stop_wait_s)

    def start(self, name: str) -> None:
        self._wrapped(name).start()

    def save(self, name: str) -> None:
        self._copied(name, self._volume(name), self._volume(f"{name}-copy"))

    def restore(self, name: str) -> None:
        self._copied(name, self._volume(f"{name}-copy"), self._volume(name))

    def _copied(self, name: str, source: str, target: str) -> None:
        """All of the volume *source* in place of what is in *target*, as root, by the image of server *name*."""
        definition = composed.definitions(self.instance)[name]
        inside = definition.kept[name]  # the image's own place for a volume: the engine would make one more there that nobody removes
        places = {source: {"bind": "/source", "mode": "ro"}, target: {"bind": inside, "mode": "rw"}}
        copy = f"find {inside} -mindepth 1 -delete && cp -a /source/. {inside}"
        DockerClient().client.containers.run(
            definition.image,
            ["-c", copy],
            entrypoint=["sh"],
            user="root",
            network_mode="none",
            volumes=places,
            labels=_labels(),
            remove=True,
        )

    def end(self) -> None:
        if self._instance is None:
            return
        supervision.stop(self._instance)
        for started in self._started.values():
            started.exception()
        self._keep_logs(self._instance)
        for container in self._containers.values():
            container.stop()
        if self._gates is not None:
            self._gates.close()
        if self._network is not None:
            self._network.remove()
        remove_volumes(self._volume(""))
        forget(self._instance)

    def _open(self) -> Instance:
        testcontainers_config.ryuk_disabled = True  # an image more, and it wants the engine's socket; see OWNER
        remove_abandoned()
        folder = Path(tempfile.mkdtemp(prefix="bionicpro-containers-"))
        try:
            instance, _ = open_instance(folder, usual_ports=False)
            supervision.start(instance, [_believing(program) for program in services.programs(instance)])
            self._network = Network(docker_network_kw={"labels": _labels()}).create()
            for process, variables in self._variables(instance).items():
                write_private(instance.env_file(process), "".join(f"{name}={value}\n" for name, value in variables.items()))
        except BaseException:
            shutil.rmtree(folder)
            raise
        return instance

    def _variables(self, instance: Instance) -> dict[str, dict[str, str]]:
        """As local/ has them, but for what only it has, and for where Keycloak finds our page."""
        found = environments.all_of(instance)
        found["keycloak"][LOGOUTS_TO] = self._reach(instance.ports["bff"])
        return {process: {name: value for name, value in each.items() if name != LOCAL_ALONE} for process, each in found.items()}

    def _reach(self, port: int) -> str:
        """A gate where the network's containers see this machine: what listens on its loopback they do not reach."""
        if platform.system() != "Linux":
            return f"http://host.docker.internal:{port}"  # there the engine has a gate of its own; not tried
        assert self._network is not None
        (place,) = DockerClient().client.networks.get(self._network.name).attrs["IPAM"]["Config"]
        if port not in self._reached:
            self._reached.add(port)
            self._gates = self._gates or TcpProxies()
            self._gates.make(port, listen=(place["Gateway"], port))
        return f"http://{place['Gateway']}:{port}"

    def _bring_up(self, name: str, definition: composed.Definition, needed: Sequence[Future[None]]) -> None:
        for other in needed:
            other.result()
        container = self._container(name, definition)
        try:
            container.start()
        except BaseException:
            container.stop()
            raise
        self._containers[name] = container
        self._await(name)
        if name in servers.SETTLING:
            servers.SETTLING[name](self.instance)

    def _container(self, name: str, definition: composed.Definition) -> DockerContainer:
        assert self._network is not None
        container = DockerContainer(definition.image, command=definition.command, env=dict(definition.variables))
        # Not with_volume_mapping, which knows one place inside for a file: a secret may stand for two variables.
        mounts = [Mount(inside, host, type="bind", read_only=mode == "ro") for host, inside, mode in definition.mounts]
        container.with_network(self._network).with_network_aliases(name).with_kwargs(labels=_labels(), mounts=mounts, **definition.limits)
        for volume, inside in definition.kept.items():
            container.with_volume_mapping(self._volume(volume), inside, "rw")
        for folder in definition.in_memory:
            container.with_tmpfs_mount(folder)
        for inside, port in definition.ports.items():
            # Not with_bind_ports, which publishes on every address. The port is the instance's: Kafka has to tell it before it has one, and it is the
            # same after a restart.
            container.ports[f"{inside}/tcp"] = ("127.0.0.1", port)  # type: ignore[assignment]
        return container

    def _volume(self, name: str) -> str:
        """What the engine calls the volume *name* of this instance; its process stands in it, for volumes that are made with a container have no labels."""
        return f"{VOLUMES}{os.getpid()}-{self.instance.identifier}-{name}"

    def _await(self, name: str) -> None:
        until = time.monotonic() + READY_LIMIT_S
        while not servers.SERVERS[name].ready(self.instance):
            wrapped = self._wrapped(name)
            wrapped.reload()
            if wrapped.status == "exited" or time.monotonic() > until:
                said = wrapped.logs(tail=LAST_LINES).decode(errors="replace").strip()
                raise servers.NotReadyError(f"the container of {name} is {wrapped.status} and does not answer; it said last: {said}")
            time.sleep(PAUSE_S)

    def _wrapped(self, name: str) -> Container:
        return self._containers[name].get_wrapped_container()

    def _keep_logs(self, instance: Instance) -> None:
        if RUN.failed:
            for name in self._containers:
                (instance.logs / f"{name}.log").write_bytes(self._wrapped(name).logs())
        RUN.keep(instance.logs)


def remove_volumes(beginning: str) -> None:
    for volume in DockerClient().client.volumes.list(filters={"name": beginning}):
        if volume.name.startswith(beginning):
            volume.remove()


def remove_abandoned() -> None:
    """What runs of tests left behind whose processes are gone."""
    client = DockerClient().client
    for left in (*client.containers.list(all=True, filters={"label": OWNER}), *client.networks.list(filters={"label": OWNER})):
        labels = left.labels if isinstance(left, Container) else left.attrs["Labels"]
        if not supervision.alive(int(labels[OWNER])):
            left.remove(**({"force": True, "v": True} if isinstance(left, Container) else {}))
    for volume in client.volumes.list(filters={"name": VOLUMES}):
        if not supervision.alive(int(volume.name.removeprefix(VOLUMES).partition("-")[0])):
            volume.remove()


def _labels() -> dict[str, str]:
    return {OWNER: str(os.getpid())}


def _believing(program: Program) -> Program:
    """*program*, which takes whoever answers at a server's port for the server: the engine listens there, not the supervisor."""
    return replace(program, command=tuple(part for part in program.command if part != "--siblings"))
