"""``python -m tests.simulation``: schedules by seed; a failing one is shrunk, and its trace printed. Exit 1 where one fails."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

HASH_SEED = "0"  # sets of texts are walked through in the order of their hashes
SHOWN = 80  # lines of a trace
PROGRESS_S = 30.0


def main(arguments: list[str] | None = None) -> int:
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *(arguments or sys.argv[1:])],
            os.environ | {"PYTHONHASHSEED": HASH_SEED},
        )
    options = _parser().parse_args(arguments)
    # After the seed of hashes is what it must be.
    from tests.simulation import running, schedule, shrink  # noqa: PLC0415

    first = secrets.randbelow(1 << 40) if options.seed is None else options.seed
    print(f"seeds {first} to {first + options.schedules - 1}", flush=True)
    began, met, steps, failed = time.monotonic(), Counter[tuple[str, str]](), 0, 0
    said = began
    with running.replaced_edges():
        for seed in range(first, first + options.schedules):
            verdict = running.run(schedule.schedule(seed, options.mix))
            met.update(verdict.met)
            steps += verdict.steps
            if options.hashes:
                print(f"{seed} {verdict.hash}", flush=True)
            if verdict.error is not None:
                failed += 1
                print(f"seed {seed}: {shrink.kind(verdict)}: {verdict.error}", flush=True)
                if not options.whole:
                    left = shrink.shrink(schedule.schedule(seed, options.mix), running.run)
                    _show(running.run(left, keep=True), [str(operation) for operation in left.operations])
                if failed > options.more:
                    break
            if time.monotonic() - said > PROGRESS_S:
                said = time.monotonic()
                print(f"{seed - first + 1} of {options.schedules} schedules, {failed} failed", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    print(f"{seed - first + 1} schedules, {steps} steps, {seconds:.1f} s, {failed} failed")
    if options.coverage:
        _keep(options.coverage, met, seed - first + 1)
    return 1 if failed else 0


def _show(verdict: object, operations: list[str]) -> None:
    trace = getattr(verdict, "trace", None) or []
    print("shrunk to:", *operations, sep="\n  ")
    print(*trace[-SHOWN:], sep="\n", flush=True)
    print(f"=> {getattr(verdict, 'error', None)}")


def _keep(file: Path, met: Counter[tuple[str, str]], schedules: int) -> None:
    """Add to what *file* has counted."""
    before: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"schedules": 0, "met": {}}
    counted = Counter(before["met"])
    counted.update({f"{effect} / {fault}": number for (effect, fault), number in met.items()})
    file.write_text(json.dumps({"schedules": before["schedules"] + schedules, "met": dict(sorted(counted.items()))}, indent=1))


def _parser() -> argparse.ArgumentParser:
    from tests.simulation.schedule import MIXES  # noqa: PLC0415 - as above

    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first schedule; none: one that nobody chose")
    parser.add_argument("--schedules", type=int, default=500)
    parser.add_argument("--mix", choices=MIXES, default="usual", help="what the schedules have more of (default: usual)")
    parser.add_argument("--more", type=int, default=0, help="go on after so many failures")
    parser.add_argument("--whole", action="store_true", help="do not shrink")
    parser.add_argument("--hashes", action="store_true", help="print the hash of every trace")
    parser.add_argument("--coverage", type=Path, help="a file that counts which faults were met")
    return parser


if __name__ == "__main__":
    sys.exit(main())
