"""``bionicpro verify`` and ``bionicpro repair``, to be mounted in the operator's command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated

import typer
from clickhouse_driver.errors import Error as ClickHouseError
from confluent_kafka import KafkaException
from psycopg import Error as PostgresError

from reconciliation import repair as repairs
from reconciliation import verify as verifies
from reconciliation.arrivals import RepairError
from reconciliation.barrier import BarrierError
from reconciliation.commands import CommandError
from reconciliation.mart import MartError
from reconciliation.settings import ReconciliationSettings
from service_kit.outages import is_outage
from service_kit.settings import load

EXIT_UNEQUAL = 1
EXIT_INTERRUPTED = 130  # as shells say of a command that Ctrl-C ended
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h: nothing is known about the reports
DAY = "%Y-%m-%d"

FromDay = Annotated[datetime | None, typer.Option("--from", formats=[DAY], help="First day of reports; default: the first there is.")]
ToDay = Annotated[datetime | None, typer.Option("--to", formats=[DAY], help="Last day of reports, included; default: the last there is.")]
Generation = Annotated[int | None, typer.Option(min=1, help="The tables of this generation; default: those that readers see.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]


def commands(states: verifies.StateCheck | None = None) -> tuple[Callable[..., None], Callable[..., None]]:
    """``verify`` and ``repair``. *states*: what looks at the processor's states, which is not of this package."""

    def verify(from_day: FromDay = None, to_day: ToDay = None, generation: Generation = None, as_json: AsJson = False) -> None:
        """Compare the reports with a recomputation from PostgreSQL, field by field. Exit 1 unless something was compared and all of it is equal."""
        settings = load(ReconciliationSettings)
        with _explained("interrupted: nothing is known about the reports, and nothing was changed"):
            result = verifies.verify(settings, _day(from_day), _day(to_day), _progress(), generation=generation, states=states)
        typer.echo(json.dumps(result.as_json(), ensure_ascii=False) if as_json else "\n".join(result.lines()))
        raise typer.Exit(0 if result.ok else EXIT_UNEQUAL)

    def repair(
        *,
        from_day: FromDay = None,
        to_day: ToDay = None,
        generation: Generation = None,
        as_json: AsJson = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    ) -> None:
        """Make raw telemetry equal to PostgreSQL by id, recompute what differs, verify. Exit 1 where something still differs."""
        settings = load(ReconciliationSettings)
        with _explained("interrupted: nothing was changed"):
            plan = repairs.plan(settings, _day(from_day), _day(to_day), _progress(), generation=generation, states=states)
        if dry_run or plan.nothing_to_do:
            typer.echo(json.dumps(plan.as_json(), ensure_ascii=False) if as_json else "\n".join(plan.lines()))
            raise typer.Exit(EXIT_UNEQUAL if not plan.nothing_to_do or not plan.verification.ok else 0)
        if not yes:
            typer.echo("\n".join(plan.lines()), err=True)
            typer.confirm("Repair this?", abort=True, err=True)
        with _explained(f"interrupted: what was mended so far stays mended; go on with `{_again(from_day, to_day, generation)}`"):
            outcome = repairs.carry_out(settings, plan, _progress(), states=states)
        typer.echo(json.dumps(outcome.as_json(), ensure_ascii=False) if as_json else "\n".join(outcome.lines()))
        raise typer.Exit(0 if outcome.verification.ok else EXIT_UNEQUAL)

    return verify, repair


def _day(value: datetime | None) -> date | None:
    return value.date() if value else None


def _progress() -> Callable[[str], None]:
    """Progress goes to standard error, whoever reads it; the outcome alone to standard output."""
    return lambda line: typer.echo(line, err=True)


def _again(from_day: datetime | None, to_day: datetime | None, generation: int | None) -> str:
    """The command that goes on with a repair of these days."""
    options = [f"--{name} {day:%Y-%m-%d}" for name, day in (("from", from_day), ("to", to_day)) if day]
    return " ".join(["bionicpro repair", *options, *([f"--generation {generation}"] if generation else [])])


@contextmanager
def _explained(interrupted: str) -> Iterator[None]:
    """A server that cannot be asked is one line and exit code 69; one that refuses what it was asked is one line and 1; Ctrl-C is *interrupted* and 130. Never a traceback."""
    code = EXIT_UNAVAILABLE
    try:
        yield
    except KeyboardInterrupt:
        problem, code = interrupted, EXIT_INTERRUPTED
    except (BarrierError, MartError, CommandError, RepairError) as error:
        problem, code = str(error), EXIT_UNEQUAL if isinstance(error, MartError | RepairError) else EXIT_UNAVAILABLE
    except PostgresError as error:
        problem, code = f"PostgreSQL: {error}", EXIT_UNAVAILABLE if is_outage(error) else EXIT_UNEQUAL
    except ClickHouseError as error:
        problem, code = f"ClickHouse: {error.message}", EXIT_UNAVAILABLE if is_outage(error) else EXIT_UNEQUAL
    except (KafkaException, OSError, EOFError) as error:
        problem, code = f"{type(error).__name__}: {error}", EXIT_UNAVAILABLE if is_outage(error) else EXIT_UNEQUAL
    else:
        return
    typer.echo(problem, err=True)
    raise typer.Exit(code)
