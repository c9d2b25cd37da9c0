"""``python -m tests.chaos``: seeded schedules of faults against real servers, one JSON line each."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.armory import Armory
from tests.chaos.lane import Lane, fresh
from tests.chaos.run import Run
from tests.chaos.schedule import MIN_SECONDS, schedule
from tests.chaos.summary import lines, summary
from tests.chaos.workers import Workers


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    results = _read(options.results)
    done = {result["seed"] for result in results} if options.results else set()
    seeds = [seed for seed in range(options.seed, options.seed + options.count) if seed not in done]
    deadline = time.monotonic() + options.minutes * 60 if options.minutes else None
    with _quiet(options.folder):
        results += _run_all(seeds, deadline, options)
    print("\n".join(lines(summary(results))))
    return 0 if results and all(result["ok"] for result in results) else 1


def _run_all(seeds: list[int], deadline: float | None, options: argparse.Namespace) -> list[dict]:
    """Every schedule on one lane; a new one after a failure, since rows that differ would be found again."""
    results: list[dict] = []
    lane: Lane | None = None
    workers: Workers | None = None
    number = 0
    try:
        for seed in seeds:
            if deadline is not None and time.monotonic() > deadline - options.seconds:
                break
            if lane is None or workers is None:
                lane = Lane(fresh(options.folder), _tell)
                lane.start()
                (options.folder / "workers").mkdir(exist_ok=True)
                workers = Workers(lane.worker_variables(), options.folder / "workers", Armory(options.folder / "armory"))
                number = 0
            _tell(f"seed {seed}")
            run = Run(lane, workers, number, schedule(seed, options.seconds), _tell)
            result = run.run().as_json()
            number += 1
            results.append(result)
            _append(options.results, result)
            _tell(
                json.dumps(
                    {
                        name: result[name]
                        for name in ("seed", "ok", "hits", "unreached", "operations", "events", "recovery_s", "seconds", "problems")
                    }
                )
            )
            if not result["ok"]:
                kept = options.folder.with_name(f"{options.folder.name}-failed-{seed}")
                shutil.rmtree(kept, ignore_errors=True)
                run.collect(kept / "evidence")
                shutil.copytree(options.folder / "workers", kept / "workers")
                shutil.copytree(options.folder / "logs", kept / "logs")
                _tell(f"what is left of it: {kept}")
                if options.stop_at_failure:
                    break
                workers.close()
                lane.stop()
                lane, workers = None, None
    finally:
        if workers is not None:
            workers.close()
        if lane is not None:
            lane.stop()
    return results


@contextlib.contextmanager
def _quiet(folder: Path) -> Iterator[None]:
    """librdkafka complains on the process's standard error about every connection that is cut here: into a file with it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    before = os.dup(2)
    with folder.with_name(f"{folder.name}.stderr").open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        raise
    finally:
        os.dup2(before, 2)
        os.close(before)


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def _read(file: Path | None) -> list[dict]:
    if file is None or not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _append(file: Path | None, result: dict) -> None:
    if file is not None:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(result) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--count", type=int, default=1, help="how many seeds, one after the other (default: 1)")
    parser.add_argument("--minutes", type=float, help="begin no schedule that would end later than this")
    parser.add_argument("--seconds", type=float, default=MIN_SECONDS, help=f"length of a schedule (default: {MIN_SECONDS})")
    parser.add_argument("--results", type=Path, help="append one JSON line a schedule; seeds that it has already are left out")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "bionicpro-chaos", help="where the servers' data goes; emptied"
    )
    parser.add_argument("--stop-at-failure", action="store_true", help="end after the first failure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
