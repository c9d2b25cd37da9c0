"""``bionicpro schema status|migrate``: the ClickHouse schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer
from clickhouse_driver.errors import Error as DriverError

from clickhouse.migrator import Migrator, SchemaError
from service_kit.settings import ClickHouseSettings, ServiceSettings, load

EXIT_WRONG = 1
EXIT_PENDING = 3

schema_app = typer.Typer(no_args_is_help=True, help="The ClickHouse schema (clickhouse/schema/).")
T = TypeVar("T")
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


class Settings(ServiceSettings):
    """Account: ``migrator``."""

    clickhouse: ClickHouseSettings


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
        typer.echo(f"readers see generation {result.generation}" if result.generation else "no generation is served yet")
    raise typer.Exit(EXIT_PENDING if result.pending or result.generation is None else 0)


@schema_app.command()
def migrate() -> None:
    """Apply what is pending; doing it again changes nothing."""
    done = _run(lambda migrator: migrator.migrate())
    typer.echo("\n".join(f"applied  {name}" for name in done) or "nothing to do")


def _run(work: Callable[[Migrator], T]) -> T:
    migrator = Migrator(load(Settings).clickhouse)
    try:
        return work(migrator)
    except SchemaError as error:
        typer.echo(str(error), err=True)
    except (DriverError, OSError, EOFError) as error:
        typer.echo(f"ClickHouse: {str(error).splitlines()[0] if str(error) else type(error).__name__}", err=True)
    finally:
        migrator.close()
    raise typer.Exit(EXIT_WRONG)
