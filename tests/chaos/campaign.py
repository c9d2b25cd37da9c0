"""Many schedules, one after the other, on one set of servers; a result of each is kept at once, so that an interrupted campaign can be taken up again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import small_disk
from tests.chaos.armory import Armory
from tests.chaos.lane import Lane, fresh
from tests.chaos.losses import LOSSES, Loss, loss_of
from tests.chaos.run import Run
from tests.chaos.schedule import schedule
from tests.chaos.workers import Workers

SHOWN = (
    "seed",
    "ok",
    "drift",
    "loss",
    "named",
    "healed_s",
    "hits",
    "unreached",
    "operations",
    "events",
    "recovery_s",
    "seconds",
    "problems",
)
Result = dict[str, Any]


@dataclass
class Campaign:
    """*folder*: of the lane, emptied. *results*: a JSON line a schedule is appended. *ends_at* (of ``time.monotonic``): no schedule begins that would end later."""

    folder: Path
    seconds: float
    results: Path | None = None
    ends_at: float | None = None
    stop_at_failure: bool = False
    losses: Sequence[Loss] = LOSSES
    _lane: Lane | None = field(default=None, init=False)
    _workers: Workers | None = field(default=None, init=False)
    _number: int = field(default=0, init=False)

    def run(self, seeds: Iterable[int]) -> list[Result]:
        """The results. Raises what keeps the servers from starting."""
        found: list[Result] = []
        with _complaints_into(self.folder.with_name(f"{self.folder.name}.stderr")):
            try:
                for seed in seeds:
                    if self.ends_at is not None and time.monotonic() > self.ends_at - self.seconds:
                        break
                    found.append(self._one(seed))
                    if self.stop_at_failure and not found[-1]["ok"]:
                        break
            finally:
                self._end_lane()
        return found

    def _one(self, seed: int) -> Result:
        lane, workers = self._staffed_lane()
        loss = self._possible(loss_of(seed, self.losses))
        tell(f"seed {seed}{f', loss {loss.name}' if loss else ''}")
        run = Run(lane, workers, self._number, schedule(seed, self.seconds), tell, loss)
        result = run.run().as_json()
        self._number += 1
        if self.results is not None:
            with self.results.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(result) + "\n")
        tell(json.dumps({name: result[name] for name in SHOWN}))
        if not result["ok"]:
            self._keep(run, seed)
            self._end_lane()  # rows that differ would be found again
        return result

    @staticmethod
    def _possible(loss: Loss | None) -> Loss | None:
        reason = small_disk.why_not() if loss and loss.what == "fill" else None
        if loss and reason:
            tell(f"the loss {loss.name} is left out: {reason}")
        return None if reason else loss

    def _staffed_lane(self) -> tuple[Lane, Workers]:
        if self._lane is None or self._workers is None:
            self._lane = Lane(fresh(self.folder), tell)
            self._lane.start()
            logs = self.folder / "workers"
            logs.mkdir(exist_ok=True)
            self._workers = Workers(self._lane.worker_variables(), logs, Armory(self.folder / "armory"))
            self._number = 0
        return self._lane, self._workers

    def _end_lane(self) -> None:
        if self._workers is not None:
            self._workers.close()
        if self._lane is not None:
            self._lane.stop()
        self._lane = self._workers = None

    def _keep(self, run: Run, seed: int) -> None:
        """Logs and evidence of a failure, beside the lane's folder."""
        kept = self.folder.with_name(f"{self.folder.name}-failed-{seed}")
        shutil.rmtree(kept, ignore_errors=True)
        run.collect(kept / "evidence")
        for part in ("workers", "logs"):
            shutil.copytree(self.folder / part, kept / part)
        tell(f"what is left of it: {kept}")


def tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def read(file: Path | None) -> list[Result]:
    """The results in *file*; none where there is no such file."""
    if file is None or not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@contextlib.contextmanager
def _complaints_into(file: Path) -> Iterator[None]:
    """librdkafka complains on the process's standard error about every connection that is cut here: into a file with it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = os.dup(2)
    with file.open("ab") as stream:
        os.dup2(stream.fileno(), 2)
    try:
        yield
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        raise
    finally:
        os.dup2(before, 2)
        os.close(before)
