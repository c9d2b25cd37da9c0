"""The servers of an instance: prepared, started, waited for, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType

from local import environments, supervision
from local.instance import Instance
from local.servers import clickhouse, connect, kafka, keycloak, postgres, redis

SERVERS: dict[str, ModuleType] = {
    "postgres": postgres,
    "kafka": kafka,
    "connect": connect,
    "clickhouse": clickhouse,
    "redis": redis,
    "keycloak": keycloak,
}
NEEDS = {"connect": ("kafka",)}
# What a server is given once it answers, before anything else uses it.
SETTLING: dict[str, Callable[[Instance], None]] = {"kafka": kafka.settle}
READY_LIMIT_S = 600

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
    server = SERVERS[name]
    server.prepare(instance)
    for other in needed:
        other.result()
    supervision.start_programs(instance, [name])
    hopeless = lambda: _state(instance, name) == "FATAL"  # noqa: E731
    if not supervision.wait_until(lambda: bool(server.ready(instance)), READY_LIMIT_S, hopeless):
        raise NotReadyError(f"{name} is not ready after {time.monotonic() - began:.0f} s; see {instance.logs / f'{name}.log'}")
    if name in SETTLING:
        SETTLING[name](instance)
    report(f"{name} is ready after {time.monotonic() - began:.1f} s")


def _state(instance: Instance, name: str) -> str:
    return next(state.state for state in supervision.states_of(instance) if state.name == name)
