"""``python -m local``: start and stop instances of the system."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from local import commands, fetch, machine, orphans, paths, steps, supervision, system, up
from local.instance import Instance, existing, folder_of
from service_kit.loopback import without_proxy

KNOWN_ERRORS = (
    commands.StoppedError,
    OSError,
    fetch.FetchError,
    machine.MachineError,
    system.NotReadyError,
    steps.StepError,
    RuntimeError,
    ValueError,
)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    os.umask(0o077)  # what is written from here on, also by the programs that are started, is nobody else's to read
    os.environ.update(without_proxy(os.environ))
    try:
        return int(options.run(folder_of(options.instance), options))
    except KNOWN_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def report(line: str) -> None:
    print(f"  {line}", flush=True)


def _up(folder: Path, options: argparse.Namespace) -> int:
    return up.up(folder, report, with_airflow=options.airflow)


def _start(folder: Path, options: argparse.Namespace) -> int:
    names = system.with_needs(options.only.split(","))
    instance = up.supervised(folder, report)
    servers = system.starting(instance, names, report)
    if options.pipe:
        steps.run_all(steps.PIPE, instance, servers, report)
    for server in servers.values():
        server.result()
    print(folder)
    return 0


def _run(folder: Path, options: argparse.Namespace) -> int:
    """Start parts that stand still. Raises RuntimeError for one that there is not."""
    instance = existing(folder)
    if not supervision.is_running(instance):
        raise RuntimeError(f"nothing runs in {folder}: `make up` starts it")
    known = {state.name for state in supervision.states_of(instance)}
    if unknown := set(options.parts) - known:
        raise RuntimeError(f"there is no part {', '.join(sorted(unknown))}: the parts are {', '.join(sorted(known))}")
    supervision.start_programs(instance, options.parts)
    return 0


def _stop(folder: Path, _options: argparse.Namespace) -> int:
    print("stopped" if _ended(existing(folder)) else "was not running")
    return 0


def _ended(instance: Instance) -> bool:
    """Stop what runs of *instance*, with its supervisor or left behind by it; False if nothing did."""
    return supervision.stop(instance) or orphans.end(instance) > 0


def _reset(folder: Path, options: argparse.Namespace) -> int:
    """Forget everything of the instance: data, secrets, ports."""
    if not (folder / "instance.json").exists():
        print(f"nothing to reset in {folder}")
        return 0
    instance = existing(folder)
    if not options.yes and not _agreed(f"Delete all data and secrets in {folder}? [y/N] "):
        print("nothing was deleted")
        return 1
    _ended(instance)
    forget(instance)
    print(f"{folder} is gone")
    return 0


def _agreed(question: str) -> bool:
    """Whether somebody at a terminal says yes. Raises RuntimeError where there is none to ask."""
    if not sys.stdin.isatty():
        raise RuntimeError("there is no terminal to ask at whether to delete everything: `make reset YES=1` does not ask")
    return input(question).strip().lower() in {"y", "yes"}


def forget(instance: Instance) -> None:
    """Delete the instance's folder and what stands for it elsewhere. Call only when nothing of it runs."""
    elsewhere = instance.data("postgres")
    if elsewhere.is_symlink() and elsewhere.resolve().is_relative_to(paths.ROOT_DATA):
        shutil.rmtree(elsewhere.resolve().parent, ignore_errors=True)
    shutil.rmtree(instance.folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, what in (
        ("up", _up, "start everything and stay in the foreground until Ctrl-C"),
        ("start", _start, "start servers in the background and wait until they are ready"),
        ("run", _run, "start parts that stand still: they ended with code 78, and what was wrong is mended"),
        ("stop", _stop, "stop everything of the instance"),
        ("reset", _reset, "stop and forget: data, secrets, ports"),
    ):
        command = commands.add_parser(name, help=what)
        command.set_defaults(run=run)
        command.add_argument("--instance", default="default", help="a name below .local/, or a path (default: default)")
        if name == "up":
            command.add_argument("--airflow", action="store_true", help="with Airflow, which runs the daily reconciliation")
        if name == "start":
            command.add_argument("--only", default=",".join(system.SERVERS), help="comma-separated (default: all)")
            command.add_argument("--pipe", action="store_true", help="also source databases, topics, ClickHouse schema and connectors")
        if name == "run":
            command.add_argument("parts", nargs="+", metavar="PART", help="as the status line names it")
        if name == "reset":
            command.add_argument("--yes", action="store_true", help="do not ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())
