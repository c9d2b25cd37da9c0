"""``python -m benchmarks NAME…``: the project and its peers side by side; one JSON object a line, then a table for each benchmark.

Servers are started in a throw-away instance on free ports and stopped at the end. Progress goes to standard error.
Exit codes: 0 done; 1 a subject failed, or computed other numbers than it should (its speed is not reported).
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from benchmarks import corrections, debezium, directory, endtoend, frontend, growth, large_day, processor, recovery, reports, verification
from benchmarks.results import Failure, Result, WrongResultsError, table
from benchmarks.servers import progress
from benchmarks.worker import SubjectFailedError
from local.steps import StepError
from local.system import NotReadyError

Outcomes = Iterator[Result | Failure]
Bench = Callable[[argparse.Namespace], Outcomes]

BENCHES: dict[str, tuple[str, Bench]] = {
    "processor": ("a preloaded log through the processor and its peers", lambda options: processor.run(options.events, options.subjects)),
    "debezium": ("PostgreSQL to Kafka: our connector against the default configuration", lambda options: debezium.run(options.events)),
    "endtoend": (
        "PostgreSQL commit to the reports service, at rates, and the highest rate that holds",
        lambda options: endtoend.run(options.events, options.minutes),
    ),
    "reports": (
        "today and 90 days through the service and the BFF, under ingest, against the bare query",
        lambda options: reports.run(options.events),
    ),
    "growth": ("cost of an event as days and pairs grow, and with two workers", lambda options: growth.run(options.events)),
    "recovery": ("a log folded from the beginning; kill -9 of the worker", lambda options: recovery.run(options.events)),
    "large-day": (
        "another prosthesis's freshness while a day of two million events is computed anew",
        lambda options: large_day.run(options.events),
    ),
    "corrections": (
        "an event of today deleted, of a new prosthesis and of one with two million events",
        lambda options: corrections.run(options.events),
    ),
    "directory": (
        "a CRM of 8,000 customers that comes at once, and one change of a customer after the other",
        lambda options: directory.run(options.events),
    ),
    "verify": (
        "the audit over ten million events of 50,000 customers, and what was altered is named",
        lambda options: verification.run(options.events),
    ),
    "frontend": ("the page in Chromium: weight, first paint, live number, commit to screen", lambda options: frontend.run(options.events)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    names = list(BENCHES) if "all" in options.names else list(dict.fromkeys(options.names))
    results: dict[str, list[Result]] = {}
    failures: list[Failure] = []
    for name in names:
        what, bench = BENCHES[name]
        progress(f"{name}: {what}")
        for outcome in _outcomes(name, bench, options):
            _write(outcome, options.json)
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                results.setdefault(name, []).append(outcome)
    print("\n" + "\n\n".join(table(found) for found in results.values()))
    for failure in failures:
        print(f"error: {failure.bench}: {failure.subject}: {failure.reason}", file=sys.stderr)
    return 1 if failures else 0


def _outcomes(name: str, bench: Bench, options: argparse.Namespace) -> Outcomes:
    """What *bench* yields; an error that ends it as a whole is the failure of everything in it."""
    began = time.monotonic()
    try:
        yield from bench(options)
    except (SubjectFailedError, WrongResultsError, NotReadyError, StepError) as error:
        yield Failure(name, "all", str(error))
    progress(f"{name} took {time.monotonic() - began:.0f} s")


def _write(outcome: Result | Failure, file: Path | None) -> None:
    print(outcome.line(), flush=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(outcome.line() + "\n")


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit("stopped")


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<11} {what}" for name, (what, _) in BENCHES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=f"{__doc__}\nbenchmarks:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", choices=[*BENCHES, "all"], help="benchmarks to run, or all")
    parser.add_argument("--events", type=_positive, help="how many events (default: each benchmark's own)")
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="how long `endtoend` keeps the highest rate up (default: 5; 0: not at all)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also append the JSON lines to FILE")
    parser.add_argument(
        "--subjects", type=lambda text: tuple(text.split(",")), metavar="A,B", help=f"of `processor`: {','.join(processor.SUBJECTS)}"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
