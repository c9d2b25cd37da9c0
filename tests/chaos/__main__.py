"""``python -m tests.chaos``: seeded schedules of faults against real servers, one JSON line each."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.campaign import Campaign, read
from tests.chaos.losses import LOSSES, chosen
from tests.chaos.schedule import MIN_SECONDS
from tests.chaos.summary import lines, summary

ENDLESS = 1_000_000


def main(arguments: list[str] | None = None) -> int:
    """0 where at least one schedule ran and all passed, those of earlier runs in the results file included."""
    options = _parser().parse_args(arguments)
    earlier = read(options.results)
    last = options.seed + (options.count or (ENDLESS if options.minutes else 1))
    if options.lanes > 1:
        _side_by_side(options, last)
        results = read(options.results)
    else:
        done = {result["seed"] for result in earlier}
        ends_at = time.monotonic() + options.minutes * 60 if options.minutes else None
        campaign = Campaign(options.folder, options.seconds, options.results, ends_at, options.stop_at_failure, chosen(options.losses))
        results = earlier + campaign.run(seed for seed in range(options.seed, last, options.stride) if seed not in done)
    print("\n".join(lines(summary(results))))
    return 0 if results and all(result["ok"] for result in results) else 1


def _side_by_side(options: argparse.Namespace, last: int) -> None:
    """Each lane in a process of its own, with every n-th seed."""
    if options.results is None:
        raise SystemExit("--lanes needs --results: that is where the lanes' results come together")
    lanes = []
    for lane in range(options.lanes):
        command = [sys.executable, "-m", "tests.chaos", "--seed", str(options.seed + lane), "--count", str(last - options.seed - lane)]
        command += ["--stride", str(options.lanes), "--folder", f"{options.folder}-{lane}", "--results", str(options.results)]
        command += [
            "--losses",
            options.losses,
            "--seconds",
            str(options.seconds),
            *(("--minutes", str(options.minutes)) if options.minutes else ()),
        ]
        command += ["--stop-at-failure"] if options.stop_at_failure else []
        lanes.append(subprocess.Popen(command))
    for process in lanes:
        process.wait()


def _names(text: str) -> str:
    try:
        chosen(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--count", type=int, help="how many seeds (default: 1; with --minutes as many as fit)")
    parser.add_argument("--minutes", type=float, help="begin no schedule that would end later than this")
    parser.add_argument("--seconds", type=float, default=MIN_SECONDS, help=f"length of a schedule (default: {MIN_SECONDS})")
    parser.add_argument("--results", type=Path, help="append one JSON line a schedule; seeds that it has already are left out")
    parser.add_argument("--lanes", type=int, default=1, help="sets of servers side by side, about 3 GiB each (default: 1)")
    parser.add_argument("--stride", type=int, default=1, help="take every n-th seed (default: 1)")
    names = ", ".join(loss.name for loss in LOSSES)
    parser.add_argument(
        "--losses", type=_names, default="all", help=f"what every second schedule may lose: all (default), none, or some of {names}"
    )
    folder = Path(tempfile.gettempdir()) / "bionicpro-chaos"
    parser.add_argument("--folder", type=Path, default=folder, help=f"where the servers' data goes, emptied before (default: {folder})")
    parser.add_argument("--stop-at-failure", action="store_true", help="end after the first failure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
