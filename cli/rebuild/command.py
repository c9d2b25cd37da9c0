"""``bionicpro rebuild``. Exit codes: 0 done, 1 refused, unequal or not handed over, 69 a server does not answer, 78 bad settings."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.broker import Broker
from cli.failures import EXIT_WRONG, explained
from cli.generations import drop
from cli.rebuild.progress import Plan, RebuildError
from cli.rebuild.settings import PROCESSOR_FILE, RebuildSettings, beside, migrator_account, variables
from cli.rebuild.start import begin, unfinished
from cli.rebuild.steps import Rebuild, Result
from cli.rebuild.tables import Tables
from clickhouse.migrator import Migrator, SchemaError
from connectors.apply import ConnectError
from connectors.topics import TopicsRefusedError
from reconciliation.arrivals import RepairError
from reconciliation.barrier import BarrierError
from reconciliation.commands import CommandError
from reconciliation.mart import MartError
from schemas.generations import group_of
from service_kit.settings import load

OWN_ERRORS = (RebuildError, ConnectError, SchemaError, TopicsRefusedError, BarrierError, CommandError, MartError, RepairError)


def rebuild(
    context: typer.Context,
    *,
    source: Annotated[
        Literal["tables", "postgres"] | None,
        typer.Option(
            help="Fill from the present generation's raw telemetry, or from PostgreSQL; default: tables where they are of these topics."
        ),
    ] = None,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Afterwards delete the generation that readers saw before.")] = False,
    own_worker: Annotated[
        bool, typer.Option("--own-worker/--no-own-worker", help="Start a worker for it, or wait for one that you start.")
    ] = True,
    migrator_env: Annotated[
        Path | None, typer.Option(help="The account migrator; migrator.env beside the operator's file by default.")
    ] = None,
    processor_env: Annotated[
        Path | None, typer.Option(help="A worker's variables; processor.env beside the operator's file by default.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document at the end; progress goes to standard error.")] = False,
) -> None:
    """Build all tables anew beside the present ones, verify them, and let readers see them. Killed at any step, started again, it goes on."""
    settings = load(RebuildSettings)
    with explained(*OWN_ERRORS):
        account = migrator_account(migrator_env, context.obj, settings.clickhouse, settings.rebuild)
        worker = variables(processor_env or beside(context.obj, PROCESSOR_FILE), "--processor-env") if own_worker else None
        with closing(Migrator(account)) as migrator:
            left = unfinished(migrator)
            generation, plan = left or begin(migrator, account, Broker(settings.kafka), source)
            _confirm(generation, plan, going_on=left is not None, drop_old=drop_old, yes=yes)
            with closing(Tables(account, plan.old, generation)) as tables:
                result = Rebuild(settings, migrator, tables, worker=worker, generation=generation, plan=plan, say=_say).run()
            if drop_old:
                drop(migrator, settings.kafka, settings.processor.group, plan.old)
    _tell(result, settings, dropped=drop_old, as_json=as_json)
    raise typer.Exit(0 if result.handed_over else EXIT_WRONG)


def _confirm(generation: int, plan: Plan, *, going_on: bool, drop_old: bool, yes: bool) -> None:
    origin = "PostgreSQL" if plan.source == "postgres" else f"the raw telemetry of generation {plan.old}"
    what = f"{'Go on with' if going_on else 'Build'} generation {generation} from {origin}, verify it, and show it to readers"
    after = f", then delete generation {plan.old}" if drop_old else ""
    if not yes:
        typer.confirm(f"{what}{after}?", abort=True, err=True)
    else:
        _say(f"{what}{after}")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _tell(result: Result, settings: RebuildSettings, *, dropped: bool, as_json: bool) -> None:
    group = group_of(settings.processor.group, result.generation)
    if as_json:
        document = {"generation": result.generation, "old": result.old, "rows_compared": result.rows, "handed_over": result.handed_over}
        typer.echo(json.dumps(document | {"group": group, "dropped": dropped}))
        return
    typer.echo(f"readers see generation {result.generation}: {result.rows} reports were compared and are equal")
    if not result.handed_over:
        typer.echo(
            f"but no worker has taken over: start the workers again, without BIONICPRO_PROCESSOR__GENERATION or with {result.generation};"
            f" they join the group {group}",
            err=True,
        )
    if not dropped:
        typer.echo(f"generation {result.old} is kept; `bionicpro schema drop-generation {result.old}` deletes it")
