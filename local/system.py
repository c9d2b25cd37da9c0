"""The servers of an instance: prepared, started, waited for, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType

from confluent_kafka import KafkaException

from local import environments, supervision
from local.attempts import failing, until_done
from local.instance import Instance
from local.progress import Patience, sign
from local.servers import clickhouse, connect, kafka, keycloak, postgres, redis
from service_kit import listeners

SERVERS: dict[str, ModuleType] = {
    "postgres": postgres,
    "kafka": kafka,
    "connect": connect,
    "clickhouse": clickhouse,
    "redis": redis,
    "keycloak": keycloak,
}
NEEDS = {"connect": ("kafka",)}
PAUSE_S = 0.1
LOOK_S = 2.0
LOOKS = 3
# What a server is given once it answers, before anything else uses it.
SETTLING: dict[str, Callable[[Instance], None]] = {"kafka": kafka.settle}

Report = Callable[[str], None]


class NotReadyError(Exception):
    """A server did not become ready; the message names its log."""


def with_needs(names: Iterable[str]) -> list[str]:
    """*names* and what they need, in starting order. Raises ValueError for an unknown one."""
    wanted = set(names)
    unknown = wanted - SERVERS.keys()
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(SERVERS)}")
    for name in tuple(wanted):
        wanted.update(NEEDS.get(name, ()))
    return with_order(wanted)


def starting(instance: Instance, names: Sequence[str], report: Report) -> dict[str, Future[None]]:
    """Begin to prepare and start *names*, side by side; each future ends when its server is ready, or with why it is not."""
    environments.write_all(instance)
    began = time.monotonic()
    pool = ThreadPoolExecutor(max_workers=len(SERVERS), thread_name_prefix="starting")
    try:
        futures: dict[str, Future[None]] = {}
        for name in with_order(names):
            needed = [futures[need] for need in NEEDS.get(name, ()) if need in futures]
            futures[name] = pool.submit(_bring_up, instance, name, needed, began, report)
        return futures
    finally:
        pool.shutdown(wait=False)


def with_order(names: Iterable[str]) -> list[str]:
    """*names* in starting order."""
    wanted = set(names)
    return [name for name in SERVERS if name in wanted]


def _bring_up(instance: Instance, name: str, needed: Sequence[Future[None]], began: float, report: Report) -> None:
    SERVERS[name].prepare(instance)
    for other in needed:
        other.result()
    supervision.start_programs(instance, [name])
    await_program(instance, name, lambda: is_ready(instance, name), ports_of(instance, name))
    if name in SETTLING:
        _settle(instance, name)
    report(f"{name} is ready after {time.monotonic() - began:.1f} s")


def _settle(instance: Instance, name: str) -> None:
    if failure := until_done(lambda: failing(lambda: SETTLING[name](instance), KafkaException, TimeoutError)):
        raise NotReadyError(f"{name} answers, and what it needs before its use {failure.words}; see {instance.logs / f'{name}.log'}")


def await_program(instance: Instance, name: str, ready: Callable[[], bool], ports: Sequence[int]) -> None:
    """Until *ready* says so, for as long as the program *name* makes progress. Raises NotReadyError that says why not, and where its log is."""
    watch, look_at = Watch(instance, name, ports), time.monotonic() + LOOK_S
    while not ready():
        time.sleep(PAUSE_S)
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + LOOK_S
            if why := watch.hopeless():
                raise NotReadyError(f"{name} {why}; see {watch.log}{supervision.last_words(watch.log)}")


class Watch:
    """Tells why a program of *instance* will never be ready: it has failed, it makes no progress, or somebody else has one of its *ports*."""

    def __init__(self, instance: Instance, name: str, ports: Sequence[int]) -> None:
        self.log = instance.logs / f"{name}.log"
        self._instance = instance
        self._name = name
        self._ports = ports
        self._patience = Patience(time.monotonic())
        self._taken = 0

    def hopeless(self) -> str | None:
        """Why, to stand behind the name; None while there is hope. To be asked again and again."""
        state = supervision.state_of(self._instance, self._name)
        if state.state == "FATAL":
            return f"does not start ({state.detail})"
        strange = [port for port in self._ports if listeners.listeners(port) and not is_own(self._instance, port)]
        # Not at the first look: between two of them a program may have ended and another begun.
        self._taken = self._taken + 1 if strange else 0
        if self._taken >= LOOKS:
            return f"cannot have port {strange[0]}: a program listens there that this system did not start. Start again, it then takes another one"
        return self._patience.exhausted(time.monotonic(), sign(state.pid, [self.log]))


def is_ready(instance: Instance, name: str) -> bool:
    """Whether the server *name* answers, and what listens on its ports is the instance's own. Whose they are is asked first: asking sends secrets."""
    return is_own(instance, *ports_of(instance, name)) and bool(SERVERS[name].ready(instance))


def is_own(instance: Instance, *ports: int) -> bool:
    """Whether each of *ports* is listened on, by processes of the instance's supervisor alone."""
    supervisor = listeners.supervisor_of(instance.folder)
    return supervisor is not None and all(listeners.belongs(port, supervisor) for port in ports)


def ports_of(instance: Instance, server: str) -> list[int]:
    """The ports of *server*'s listeners: they carry its name, and a word more where there are several."""
    return [port for name, port in instance.ports.items() if name == server or name.startswith(f"{server}_")]
