"""``bionicpro simulate`` and ``bionicpro load-demo``; also the simulator's entry point (``python -m simulator``)."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime
from random import Random
from typing import Annotated

import psycopg
import typer

from service_kit import logging
from service_kit.settings import PostgresSettings, ServiceSettings, load
from simulator.load_demo import HISTORY_DAYS
from simulator.load_demo import load_demo as load_into
from simulator.simulate import Pace, Simulator


class Settings(ServiceSettings):
    """Accounts: ``crm_app`` for the CRM, ``telemetry_ingest`` for telemetry."""

    crm_db: PostgresSettings
    telemetry_db: PostgresSettings


def load_demo(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many days of history, today included.")] = HISTORY_DAYS,
) -> None:
    """Fill the source databases with the demo's customers and their history; does nothing where that was done."""
    settings = load(Settings)
    try:
        added = load_into(settings.crm_db.conninfo(), settings.telemetry_db.conninfo(), datetime.now(UTC), days)
    except psycopg.Error as error:
        typer.echo(f"the demo's data could not be added: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{added.customers} customers and {added.telemetry_rows} telemetry rows added")


def simulate(
    rate: Annotated[float, typer.Option(min=0.01, max=50_000, help="Readings a second, over all devices that are awake.")] = 5.0,
    renew_every: Annotated[float, typer.Option(min=0.0, help="Seconds between contract renewals in the CRM; 0: none.")] = 0.0,
    seconds: Annotated[float, typer.Option(min=0.0, help="Stop after this many seconds; 0: when told to (SIGTERM, Ctrl-C).")] = 0.0,
    seed_number: Annotated[int | None, typer.Option("--seed", help="Makes the same choices again.")] = None,
) -> None:
    """Play the demo's devices live until stopped; what offline devices hold is uploaded at the end."""
    settings = load(Settings)
    logging.configure("simulator", settings.log)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if seconds:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()
    rng = Random(seed_number)  # noqa: S311 - a model, no secret
    simulator = Simulator(
        settings.crm_db.conninfo(), settings.telemetry_db.conninfo(), Pace(rate, renew_every), lambda: datetime.now(UTC), rng
    )
    try:
        simulator.run(stop)
    except psycopg.Error as error:
        typer.echo(f"the simulator ended: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{simulator.uploaded} readings uploaded", err=True)


def seed(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many days of history, today included.")] = HISTORY_DAYS,
) -> None:
    """The former name of ``load-demo``; it goes with the next version."""
    typer.echo("`seed` is called `load-demo` now; the old name goes with the next version", err=True)
    load_demo(days)


def add_commands(app: typer.Typer) -> None:
    """Add the demo's commands to *app*."""
    app.command("load-demo")(load_demo)
    app.command(hidden=True, deprecated=True)(seed)
    app.command()(simulate)


app = typer.Typer(no_args_is_help=True, help="The demo's data and devices.", pretty_exceptions_enable=False)
add_commands(app)
