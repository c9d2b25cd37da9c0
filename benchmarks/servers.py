"""The servers of a run: an instance of its own in a temporary folder on free ports, gone at the end, also after an error."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from benchmarks.usage import Usage, usage_of
from connectors.accounts import BROKER
from local import environments, orphans, services, supervision
from local import system as servers
from local.__main__ import forget
from local.instance import Instance, ensure_secrets, open_instance, write_private
from local.steps import PIPE, Step
from service_kit.settings import KafkaSettings

LOOPBACK = "127.0.0.1"
SCHEMA_AND_TOPICS = tuple(step for step in PIPE if step.needs[0] in {"clickhouse", "kafka"})
QUIET_LIMIT_S = 60.0
BENCHMARK = "benchmark"
ACCOUNT = """<clickhouse><users><{name}>
    <password_sha256_hex>{digest}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    <grants><query>GRANT ALL ON *.*</query></grants>
</{name}></users></clickhouse>
"""


def progress(line: str) -> None:
    """A line for who waits; results go to standard output, this does not."""
    print(f"  {time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


class Servers:
    """Started servers of one throw-away instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    @property
    def kafka(self) -> KafkaSettings:
        """As the broker's own account: the peers have topics and groups of their own, and no rights."""
        account = environments.kafka(self.instance, BROKER)
        return KafkaSettings.model_validate({name.removeprefix("BIONICPRO_KAFKA__").lower(): value for name, value in account.items()})

    def variables(self, process: str) -> dict[str, str]:
        """The ``BIONICPRO_…`` variables of *process*, as the supervisor would give them."""
        return environments.all_of(self.instance)[process]

    def clickhouse_account(self, user: str = BENCHMARK) -> dict[str, Any]:
        """Keyword arguments of ``clickhouse_driver.Client``."""
        password = self.instance.secrets[f"clickhouse_{user}"]
        return {"host": LOOPBACK, "port": self.instance.ports["clickhouse"], "user": user, "password": password}

    @contextmanager
    def clickhouse(self, user: str = BENCHMARK) -> Iterator[Client]:
        client = Client(**self.clickhouse_account(user))
        try:
            yield client
        finally:
            client.disconnect()

    def usage(self, part: str) -> Usage:
        """Of a server or service that the supervisor runs."""
        return usage_of(self.pids()[part])

    def pids(self) -> dict[str, int]:
        return {state.name: state.pid for state in supervision.states_of(self.instance) if state.pid}

    def carry_out(self, steps: Sequence[Step]) -> None:
        for step in steps:
            began = time.monotonic()
            step.run(self.instance)
            progress(f"{step.name}: {time.monotonic() - began:.1f} s")

    def quiet_store(self) -> None:
        """Wait until ClickHouse has nothing left to merge, so that what a subject leaves behind is counted as its own."""
        with self.clickhouse() as client:
            still, until = 0, time.monotonic() + QUIET_LIMIT_S
            while still < 3 and time.monotonic() < until:
                still = 0 if client.execute("SELECT count() FROM system.merges")[0][0] else still + 1
                time.sleep(0.3)


@contextmanager
def started(names: Sequence[str], steps: Sequence[Step] = ()) -> Iterator[Servers]:
    """*names* of local/'s servers, started and ready, *steps* carried out; stopped and deleted whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="bionicpro-bench-"))
    instance = _with_benchmark_account(open_instance(folder, usual_ports=False)[0])
    programs = [server.program(instance) for server in servers.SERVERS.values()]
    try:
        supervision.start(instance, [*programs, *services.programs(instance)])
        for future in servers.starting(instance, servers.with_needs(names), progress).values():
            future.result()
        started = Servers(instance)
        started.carry_out(steps)
        yield started
    finally:
        _gone(instance)


@contextmanager
def pipe() -> Iterator[Servers]:
    """From both source databases to the mart, with the processor under the supervisor as in production."""
    with started(("postgres", "kafka", "connect", "clickhouse"), PIPE) as servers:
        supervision.start_programs(servers.instance, ["processor"])
        yield servers


def _with_benchmark_account(instance: Instance) -> Instance:
    """*instance* with one more account of ClickHouse, beside those that the system has: peers make tables of any engine, Kafka's too."""
    known = ensure_secrets(instance.folder, [f"clickhouse_{BENCHMARK}"])
    folder = instance.data("clickhouse") / "users.d"
    folder.mkdir(mode=0o700, parents=True)
    digest = hashlib.sha256(known[f"clickhouse_{BENCHMARK}"].encode()).hexdigest()
    write_private(folder / f"{BENCHMARK}.xml", ACCOUNT.format(name=BENCHMARK, digest=digest))
    return replace(instance, secrets=known)


def _gone(instance: Instance) -> None:
    if not supervision.stop(instance):
        orphans.end(instance)
    forget(instance)
    shutil.rmtree(instance.folder, ignore_errors=True)


def selected(variables: Mapping[str, str], **overrides: object) -> dict[str, str]:
    """*variables* with settings of the processor replaced (``GENERATION=2``, …)."""
    return {**variables, **{f"BIONICPRO_PROCESSOR__{name}": str(value) for name, value in overrides.items()}}
