"""``bionicpro schema status|migrate``: the ClickHouse schema."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from clickhouse_driver.errors import Error as DriverError

from cli.failures import explained
from cli.generations import drop
from cli.rebuild.progress import RebuildError
from cli.rebuild.settings import RebuildSection, migrator_account
from clickhouse.migrator import Migrator, SchemaError
from schemas.retention import RAW, SOURCE
from service_kit.error_text import first_line
from service_kit.settings import ClickHouseSettings, KafkaSettings, ServiceSettings, load
from stream_processor.settings import ProcessorSection

EXIT_WRONG = 1
EXIT_PENDING = 3
LEAST_DAYS = 15
CLOSING_S = 15.0

schema_app = typer.Typer(no_args_is_help=True, help="The ClickHouse schema (clickhouse/schema/).")
T = TypeVar("T")
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


class Settings(ServiceSettings):
    """Account: ``migrator``."""

    clickhouse: ClickHouseSettings


class DropSettings(ServiceSettings):
    """The operator's: ClickHouse's address, Kafka, and the group's name."""

    clickhouse: ClickHouseSettings
    rebuild: RebuildSection = RebuildSection()
    kafka: KafkaSettings = KafkaSettings()
    processor: ProcessorSection = ProcessorSection()


@schema_app.command()
def status(as_json: JsonOption = False) -> None:
    """Say what is applied. Exit code 3 where something is pending, 1 where files and server disagree."""
    result = _run(lambda migrator: migrator.status())
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    else:
        for name in result.applied:
            typer.echo(f"applied  {name}")
        for name in result.pending:
            typer.echo(f"pending  {name}")
        for one in result.generations:
            typer.echo(f"generation {one.number}  {one.state}{f', {one.detail}' if one.detail else ''}")
        typer.echo(f"readers see generation {result.generation}" if result.generation else "no generation is served yet")
    raise typer.Exit(EXIT_PENDING if result.pending or result.generation is None else 0)


@schema_app.command()
def migrate() -> None:
    """Apply what is pending; doing it again changes nothing."""
    done = _run(lambda migrator: migrator.migrate())
    typer.echo("\n".join(f"applied  {name}" for name in done) or "nothing to do")


@schema_app.command("retention")
def retention(
    raw_days: Annotated[int | None, typer.Option("--raw-days", help="Days that raw telemetry is kept in ClickHouse; 0: for ever.")] = None,
    source_days: Annotated[
        int | None,
        typer.Option("--source-days", help="Days that PostgreSQL's retention job keeps; its deletes are no corrections. 0: for ever."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show, or set, how long telemetry is kept. Days whose raw rows may have expired are closed: their reports stay as they are."""
    chosen = {what: days for what, days in ((RAW, raw_days), (SOURCE, source_days)) if days is not None}
    for what, days in chosen.items():
        if days != 0 and days < LEAST_DAYS:
            raise typer.BadParameter(f"at least {LEAST_DAYS}, longer than the log keeps its records, or 0", param_hint=f"--{what}-days")
    if raw_days and not yes:
        typer.confirm(f"Delete raw telemetry older than {raw_days} days for good, now and from now on?", abort=True, err=True)
    if chosen:
        _run(lambda migrator: _set_retention(migrator, chosen))
    kept = _run(lambda migrator: migrator.retention())
    if as_json:
        typer.echo(json.dumps(asdict(kept)))
    else:
        typer.echo(f"raw telemetry in ClickHouse: {_days(kept.raw_days)}\ntelemetry in PostgreSQL: {_days(kept.source_days)}")


def _set_retention(migrator: Migrator, chosen: Mapping[str, int]) -> None:
    for what, days in chosen.items():
        migrator.set_retention(what, days or None)
    if chosen.get(RAW):
        # Workers must have closed the days before the rows go; they look every few seconds.
        typer.echo(f"workers close the days; rows begin to expire in {CLOSING_S:.0f} s", err=True)
        time.sleep(CLOSING_S)
    if RAW in chosen:
        migrator.expire_raw()


def _days(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"


@schema_app.command("drop-generation")
def drop_generation(
    context: typer.Context,
    generation: Annotated[int, typer.Argument(min=1, help="Its number; `schema status` lists them.")],
    migrator_env: Annotated[
        Path | None, typer.Option(help="The account migrator; migrator.env beside the operator's file by default.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a generation's tables, group and directory topic for good; never the one that readers see, or one that is being written."""
    settings = load(DropSettings)
    if not yes:
        typer.confirm(f"Delete generation {generation} with all its tables for good?", abort=True, err=True)
    with explained(SchemaError, RebuildError):
        account = migrator_account(migrator_env, context.obj, settings.clickhouse, settings.rebuild)
        with closing(Migrator(account)) as migrator:
            drop(migrator, settings.kafka, settings.processor.group, generation)
    typer.echo(f"generation {generation} is gone")


def _run(work: Callable[[Migrator], T]) -> T:
    migrator = Migrator(load(Settings).clickhouse)
    try:
        return work(migrator)
    except SchemaError as error:
        typer.echo(str(error), err=True)
    except (DriverError, OSError, EOFError) as error:
        typer.echo(f"ClickHouse: {first_line(error)}", err=True)
    finally:
        migrator.close()
    raise typer.Exit(EXIT_WRONG)
