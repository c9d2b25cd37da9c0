"""``bionicpro``: every command in one place. Parts bring their own commands; this module only gathers them."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.dlq.command import dlq_app
from cli.environment import DEFAULT, adopt, chosen, has_variables
from cli.erase.command import erase
from cli.probe.command import probe
from cli.rebuild.command import rebuild
from cli.replay.command import replay
from cli.schema import schema_app
from cli.states import unlike
from cli.status.command import status
from connectors.cli import connectors_app, topics_app
from reconciliation.cli import commands
from service_kit.loopback import without_proxy
from service_kit.settings import EXIT_BAD_SETTINGS
from simulator.cli import add_commands

app = typer.Typer(no_args_is_help=True, help="BionicPRO Reports: operate the pipeline.", pretty_exceptions_enable=False)


@app.callback()
def environment(
    context: typer.Context,
    env_file: Annotated[
        Path | None,
        typer.Option(help=f"File of BIONICPRO_* variables; {DEFAULT} where none are set.", dir_okay=False, exists=True),
    ] = None,
) -> None:
    """Variables that are set already win over those of the file."""
    # The driver logs each refused connection with its trace; the commands say it in one line.
    os.environ.update(without_proxy(os.environ))
    logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())
    context.obj = chosen(env_file)
    if context.obj is not None:
        adopt(context.obj)
    elif not has_variables() and not {"--help", "generate"} & set(sys.argv):  # these ask no server
        typer.echo(
            f"there are no settings: no BIONICPRO_… variable is set and {DEFAULT} is not there. Run `make up`, or give --env-file", err=True
        )
        raise typer.Exit(EXIT_BAD_SETTINGS)


app.add_typer(schema_app, name="schema")
app.add_typer(topics_app, name="topics")
app.add_typer(connectors_app, name="connectors")
app.add_typer(dlq_app, name="dlq")
app.command()(status)
app.command()(probe)
app.command()(replay)
app.command()(rebuild)
for command in commands(states=unlike):
    app.command()(command)
app.command()(erase)
add_commands(app)


def main() -> None:
    app()
