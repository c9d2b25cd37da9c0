"""The processor as it runs in production: a process, ``python -m stream_processor``, looked at from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from clickhouse_driver import Client

from benchmarks.servers import LOOPBACK, Servers, selected
from benchmarks.usage import Usage, usage_of
from clickhouse.migrator import Migrator
from local import paths
from local.launch import answers
from local.ports import any_free
from schemas.generations import database_of
from schemas.keys import LOG_TOPIC
from service_kit import processes
from service_kit.settings import ClickHouseSettings

START_LIMIT_S = 60.0
STOP_LIMIT_S = 40.0
LOOK_S = 0.2  # each look costs ClickHouse a query
SHARED = "bionicpro"


class SubjectFailedError(Exception):
    """A program under test ended, or did not get done in time; the message holds its last words."""


@dataclass(frozen=True)
class Worker:
    """A running worker of *generation*; ``startup_cpu_s``: what it had spent when its web endpoint first answered."""

    process: subprocess.Popen[bytes]
    generation: int
    port: int
    startup_cpu_s: float
    output: Path

    @property
    def database(self) -> str:
        return database_of(SHARED, self.generation)

    def usage(self) -> Usage:
        return usage_of(self.process.pid)

    def wait_handled(self, client: Client, ends: Mapping[int, int], limit_s: float, look: Callable[[int], None] | None = None) -> None:
        """Until the tables hold every partition up to *ends*; *look* is called with the sum of handled offsets each time.

        Raises SubjectFailedError where the worker ends or *limit_s* passes.
        """
        until = time.monotonic() + limit_s
        query = f"SELECT log_partition, max(handled_offset) FROM {self.database}.partition_progress WHERE topic = %(topic)s GROUP BY 1"
        while True:
            handled = {int(row[0]): int(row[1]) for row in client.execute(query, {"topic": LOG_TOPIC})}
            if look is not None:
                look(sum(handled.get(partition, -1) + 1 for partition in ends))
            behind = {partition: end for partition, end in ends.items() if handled.get(partition, -1) < end}
            if not behind:
                return
            if self.process.poll() is not None or time.monotonic() > until:
                raise SubjectFailedError(f"the processor did not handle {behind} of {LOG_TOPIC}: {last_words(self.output)}")
            time.sleep(LOOK_S)


def make_generation(servers: Servers, generation: int) -> None:
    """Its tables; the views stay on generation 1. Idempotent."""
    migrator = Migrator(ClickHouseSettings(**servers.clickhouse_account()))
    try:
        migrator.create_generation(generation)
    finally:
        migrator.close()


@contextmanager
def worker(servers: Servers, generation: int = 1, **settings: object) -> Iterator[Worker]:
    """A worker with a group, generation and port of its own, once its web endpoint answers; ended by force at the end.

    *settings* are the processor's (``BATCH_RECORDS=…``).
    """
    folder = servers.instance.data(f"bench-processor-{generation}-{settings.get('INSTANCE_ID', '')}")
    folder.mkdir(parents=True, exist_ok=True)
    port = any_free(1)[0]
    chosen = {
        "GENERATION": generation,
        "GROUP": f"bionicpro-processor-bench-{generation}",  # of those that the processor's account may join
        "INSTANCE_ID": f"bench-{generation}",
        "PORT": port,
        "DATA_DIR": folder,
    }
    variables = selected(servers.variables("processor"), **{**chosen, **settings})
    with (folder / "processor.log").open("ab") as output:
        process = _started(variables, output)
    try:
        startup = _wait_alive(process, port, folder / "processor.log")
        yield Worker(process, generation, port, startup, folder / "processor.log")
    finally:
        processes.end(process, STOP_LIMIT_S)


def _started(variables: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "stream_processor"]
    return subprocess.Popen(command, cwd=paths.REPOSITORY, env=os.environ | variables, stdout=output, stderr=output)


def _wait_alive(process: subprocess.Popen[bytes], port: int, output: Path) -> float:
    until = time.monotonic() + START_LIMIT_S
    while not answers(f"http://{LOOPBACK}:{port}/health/live"):
        if process.poll() is not None or time.monotonic() > until:
            raise SubjectFailedError(f"the processor does not answer: {last_words(output)}")
        time.sleep(0.01)
    return usage_of(process.pid).cpu_s


def last_words(output: Path) -> str:
    return output.read_text(encoding="utf-8", errors="replace")[-1500:]
