"""``python -m tests.mutants``: does every mutation of the product fail a test?

Each mutation is applied to a copy of the tree, and the tests that should notice it run there. Exit 1 where a mutation survives, 2 where one does not apply any more.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.reach import reached
from tests.simulation.schedule import MIXES

REPOSITORY = Path(__file__).parents[2]
LIST = Path(__file__).with_name("mutations.toml")
# What the tests below need; a copy of everything would be hundreds of megabytes.
COPIED = (
    "pyproject.toml",
    "schemas",
    "service_kit",
    "stream_processor",
    "eraser",
    "clickhouse",
    "reconciliation",
    "connectors",
    "bff",
    "cli",
    "local",
    "simulator",
    "tests",
)
LIMIT_S = 1800
EXIT_SURVIVED, EXIT_GONE = 1, 2
FAILED = re.compile(r"^FAILED (\S+)|^(seed \d+: .*)", re.MULTILINE)


class MutationError(Exception):
    """The text that a mutation changes does not stand exactly once in its file."""


@dataclass(frozen=True)
class Mutation:
    """*old*, once in *file*, becomes *new*; one of *tests* fails then, or *equivalent* says why none can."""

    name: str
    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str = ""


def mutations(file: Path = LIST) -> list[Mutation]:
    with file.open("rb") as stream:
        entries = tomllib.load(stream)["mutation"]
    return [Mutation(**entry | {"tests": tuple(entry["tests"])}) for entry in entries]


def mutated(mutation: Mutation, text: str) -> str:
    """*text* with the mutation. Raises MutationError."""
    count = text.count(mutation.old)
    if count != 1:
        raise MutationError(
            f"{mutation.name}: its text stands {count} times in {mutation.file}, it must be once."
            f" The code has changed: adapt {LIST.relative_to(REPOSITORY)}"
        )
    return text.replace(mutation.old, mutation.new)


def killer(mutation: Mutation, copy: Path, schedules: int = 0, mixes: Sequence[str] = tuple(MIXES)) -> str | None:
    """The test that failed under the mutation, None where all passed; with *schedules* so many of each of the simulation's *mixes*, from seed 0, instead of tests. *copy* is as before afterwards."""
    file = copy / mutation.file
    original = file.read_text(encoding="utf-8")
    file.write_text(mutated(mutation, original), encoding="utf-8")
    try:
        tests = [["pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", "900", *mutation.tests]]
        # Most of those that are killed are killed soon: a tenth of each mix goes first.
        first = max(1, schedules // 10)
        parts = [(seed, count, mix) for seed, count in ((0, first), (first, schedules - first)) if count for mix in mixes]
        simulated = [
            ["tests.simulation", "--seed", str(seed), "--schedules", str(count), "--whole", "--mix", mix] for seed, count, mix in parts
        ]
        return next(filter(None, (_failed(mutation, module, copy) for module in (simulated if schedules else tests))), None)
    finally:
        file.write_text(original, encoding="utf-8")


def _failed(mutation: Mutation, module: Sequence[str], copy: Path) -> str | None:
    """What failed of *module*, run in *copy*; None where nothing did."""
    # CI's profile: generated cases are the same at every run.
    environment = os.environ | {"CI": "1"}
    command = [sys.executable, "-m", *module]
    finished = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if finished.returncode == 0:
        return None
    failed = FAILED.search(finished.stdout)
    if failed is None:
        raise MutationError(f"{mutation.name}: the tests did not run: {(finished.stdout + finished.stderr)[-1500:]}")
    return failed[1] or f"{failed[2]} ({module[-1]})"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    chosen = [mutation for mutation in mutations() if not options.names or mutation.name in options.names]
    if not chosen:
        print(f"no such mutation; there are: {', '.join(mutation.name for mutation in mutations())}", file=sys.stderr)
        return EXIT_GONE
    if options.list:
        print("\n".join(f"{mutation.name:45} {mutation.rule}" for mutation in chosen))
        return 0
    with tempfile.TemporaryDirectory(prefix="bionicpro-mutants-") as folder:
        if options.reach:
            found = reached(chosen, _copied(Path(folder)), options.reach)
            print("\n".join(f"{mutation.name:65} {'reached' if mutation.name in found else 'not reached'}" for mutation in chosen))
            return 0
        return max(
            [_judge(mutation, _copied(Path(folder)), options.simulate, options.mix or tuple(MIXES)) for mutation in chosen], default=0
        )


def _judge(mutation: Mutation, copy: Path, schedules: int, mixes: Sequence[str]) -> int:
    began = time.monotonic()
    try:
        mutated(mutation, (copy / mutation.file).read_text(encoding="utf-8"))
        if mutation.equivalent:
            return _say(mutation, began, "equivalent: " + " ".join(mutation.equivalent.split())[:100] + " …", 0)
        found = killer(mutation, copy, schedules, mixes)
    except MutationError as error:
        return _say(mutation, began, f"ERROR {error}", EXIT_GONE)
    if found is None:
        return _say(mutation, began, f"SURVIVED {schedules or ' '.join(mutation.tests)}", EXIT_SURVIVED)
    return _say(mutation, began, f"killed by {found}", 0)


def _say(mutation: Mutation, began: float, verdict: str, code: int) -> int:
    print(f"{mutation.name:45} {time.monotonic() - began:6.1f} s  {verdict}", flush=True)
    return code


def _copied(folder: Path) -> Path:
    """The tree in *folder*, copied at the first call."""
    copy = folder / "tree"
    if not copy.exists():
        copy.mkdir()
        for name in COPIED:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
            else:
                shutil.copy(source, copy / name)
    return copy


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutations to try (default: all)")
    parser.add_argument(
        "--simulate",
        type=int,
        default=0,
        metavar="SCHEDULES",
        help="let the simulation alone look for them, so many schedules of each mix long",
    )
    parser.add_argument(
        "--reach",
        type=int,
        default=0,
        metavar="SCHEDULES",
        help="say to which of them so many schedules of each of the simulation's mixes come at all, run nothing else",
    )
    parser.add_argument(
        "--mix", action="append", choices=MIXES, help="with --simulate: of this mix alone; may be given again (default: all)"
    )
    parser.add_argument("--list", action="store_true", help="name them, run nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
