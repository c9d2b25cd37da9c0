"""``bionicpro status``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from cli.status.gather import gather
from cli.status.judge import Problem, problems
from cli.status.probes import probes
from cli.status.report import document, lines
from cli.status.settings import StatusSettings
from service_kit import listeners
from service_kit.settings import load

EXIT_WRONG = 1


def status(
    without: Annotated[list[str] | None, typer.Option(help="A part that is not to be asked; may be given again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
) -> None:
    """Ask every part whether it is alive, up to date and whole. Exit code 0 only when all is well, otherwise 1 and a line a problem."""
    settings = load(StatusSettings)
    asked = probes(settings)
    if unknown := sorted(set(without or ()) - asked.keys()):
        raise typer.BadParameter(f"{', '.join(unknown)}: no such part; there are {', '.join(asked)}", param_hint="--without")
    stopped = not_running(settings.status.instance)
    readings = {} if stopped else gather(asked, settings.status.deadline_s, without or ())
    now = datetime.now(UTC)
    found = stopped or problems(readings, settings.status, now)
    if as_json:
        typer.echo(json.dumps(document(readings, found, now, own_version()), ensure_ascii=False))
    else:
        typer.echo("\n".join(lines(readings, found, now)))
    raise typer.Exit(EXIT_WRONG if found else 0)


def not_running(instance: Path | None) -> list[Problem]:
    """One problem in place of many where the instance of local/ that is meant does not run; none where it runs, or none is meant."""
    if instance is None or listeners.supervisor_of(instance) is not None:
        return []
    return [Problem("system", f"the instance in {instance} does not run", "`make up`")]


def own_version() -> str:
    """The installed package's version; run out of a checkout there is none."""
    try:
        return version("bionicpro-reports")
    except PackageNotFoundError:
        return "checkout"
