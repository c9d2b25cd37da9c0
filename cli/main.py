"""``bionicpro``: every command in one place. Parts bring their own commands; this module only gathers them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.schema import schema_app
from connectors.cli import connectors_app, topics_app
from simulator.cli import seed, simulate

DEFAULT_ENVIRONMENT = Path(".local/default/env/operator.env")

app = typer.Typer(no_args_is_help=True, help="BionicPRO Reports: operate the pipeline.", pretty_exceptions_enable=False)


@app.callback()
def environment(
    env_file: Annotated[
        Path | None,
        typer.Option(help=f"File of BIONICPRO_* variables; {DEFAULT_ENVIRONMENT} where none are set.", dir_okay=False, exists=True),
    ] = None,
) -> None:
    """Variables that are set already win over those of the file."""
    if env_file is None and not any(name.startswith("BIONICPRO_") for name in os.environ) and DEFAULT_ENVIRONMENT.exists():
        env_file = DEFAULT_ENVIRONMENT
    if env_file is not None:
        for line in env_file.read_text("utf-8").splitlines():
            name, separator, value = line.partition("=")
            if separator and not name.startswith("#"):
                os.environ.setdefault(name.strip(), value.strip())


app.add_typer(schema_app, name="schema")
app.add_typer(topics_app, name="topics")
app.add_typer(connectors_app, name="connectors")
app.command()(seed)
app.command()(simulate)


def main() -> None:
    app()
