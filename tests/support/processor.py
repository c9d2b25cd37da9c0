"""A stream processor of the tests' own: started, killed and stopped at will, in place of the one that the supervisor runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clickhouse_driver import Client

from cli.broker import Broker, Offsets
from local import supervision
from local.launch import answers
from schemas.keys import LOG_TOPIC
from schemas.topics import log_partitions
from service_kit import processes
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

SUPERVISED = "processor"
GROUP = "bionicpro-processor"
LOOK_S = 0.1
REPOSITORY = Path(__file__).parents[2]
PROGRESS = f"SELECT log_partition, handled_offset FROM partition_progress WHERE topic = '{LOG_TOPIC}'"


def until(condition: Callable[[], bool], what: str | Callable[[], str], limit_s: float = PATIENCE_S) -> None:
    """Look until *condition* holds; AssertionError naming *what* (asked then, where it is a function) at the limit."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"{what if isinstance(what, str) else what()}: not within {limit_s:.0f} s"
        time.sleep(LOOK_S)


class ProcessorProcess:
    """``python -m stream_processor`` with *variables*, or another *module* that composes it; its output goes to ``processor.log`` in *folder*, its tables' folder is there too."""

    def __init__(self, variables: Mapping[str, str], folder: Path, module: str = "stream_processor") -> None:
        self._module = module
        self._variables = {**variables, "BIONICPRO_PROCESSOR__DATA_DIR": str(folder / "data")}
        self._live = f"http://127.0.0.1:{variables['BIONICPRO_PROCESSOR__PORT']}/health/live"
        self._output = folder / "processor.log"
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it without waiting."""
        assert self._process is None, "it runs already"
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                cwd=REPOSITORY,
                env=os.environ | self._variables,
                stdout=output,
                stderr=output,
            )

    def start(self) -> None:
        """Start it; returns when its web endpoint answers."""
        self.begin()
        until(lambda: self._ended() or answers(self._live), "the processor answers")
        assert not self._ended(), f"the processor ended: {self.said()[-2000:]}"

    def kill(self) -> None:
        """``kill -9``: nothing is finished, nothing is committed, nobody is told."""
        assert self._process is not None, "it does not run"
        assert not self._ended(), f"it had ended before it was killed: {self.said()[-2000:]}"
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._process = None

    def stop(self) -> None:
        """Orderly, or by force after a while. Nothing to do where it does not run."""
        if self._process is None:
            return
        processes.end(self._process, PATIENCE_S)
        self._process = None

    def exit_code(self) -> int:
        """Wait until it ends by itself; AssertionError at the limit."""
        assert self._process is not None, "it does not run"
        until(self._ended, "the processor ends by itself")
        code = self._process.returncode
        self._process = None
        return code

    def said(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None


class Positions:
    """How far the group has committed, and how far the tables that readers see are."""

    def __init__(self, system: System) -> None:
        self.broker = Broker(system.kafka.settings())
        self._auditor = Client(**system.clickhouse.client("auditor"), database="bionicpro")

    def close(self) -> None:
        self._auditor.disconnect()

    def committed(self, topic: str = LOG_TOPIC) -> Offsets:
        """The next offset by partition; those never committed are left out."""
        return self.broker.committed(GROUP, topic, range(log_partitions() if topic == LOG_TOPIC else 1))

    def handled(self) -> Offsets:
        """The last offset of the log that is in the tables, by partition."""
        return {int(partition): int(offset) for partition, offset in self._auditor.execute(PROGRESS)}

    def wait_for_more(self) -> None:
        """Until something is handled that was not at the call: heartbeats see to it that there is something."""
        before = sum(self.handled().values())
        until(lambda: sum(self.handled().values()) > before, "the processor handles something")


@contextmanager
def real_processor(pipe: System, folder: Path, module: str = "stream_processor") -> Iterator[ProcessorProcess]:
    """A started processor with the supervised one's group, generation and port; that one rests meanwhile, and runs again afterwards if it did."""
    states = {state.name: state.state for state in supervision.states_of(pipe.instance)}
    supervision.stop_programs(pipe.instance, [SUPERVISED])
    processor = ProcessorProcess(pipe.variables(SUPERVISED), folder, module)
    try:
        processor.start()
        yield processor
    finally:
        processor.stop()
        if states[SUPERVISED] in supervision.ACTIVE:
            supervision.start_programs(pipe.instance, [SUPERVISED])
