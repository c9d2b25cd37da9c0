"""What servers refuse becomes one line and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import typer
from clickhouse_driver.errors import Error as ClickHouseError
from confluent_kafka import KafkaException

from service_kit.error_text import first_line
from service_kit.outages import is_outage

EXIT_WRONG = 1
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h

SERVERS = (KafkaException, psycopg.Error, ClickHouseError, httpx.HTTPError, OSError, EOFError)


@contextmanager
def explained(*own: type[Exception]) -> Iterator[None]:
    """Say an error in one line on standard error: one of *own* and what a server refused end with 1, a server that does not answer with 69."""
    try:
        yield
    except (*own, *SERVERS) as error:
        code = EXIT_WRONG if isinstance(error, own) or not is_outage(error) else EXIT_UNAVAILABLE
        typer.echo(str(error) if isinstance(error, own) else said(error), err=True)
        raise typer.Exit(code) from None


def said(error: Exception) -> str:
    """One line that says which server refused, and why."""
    match error:
        case KafkaException():
            return f"Kafka: {error.args[0].str() if error.args and hasattr(error.args[0], 'str') else error}"
        case psycopg.Error():
            return f"PostgreSQL: {first_line(error)}"
        case ClickHouseError():
            return f"ClickHouse: {first_line(error)}"
        case _:
            return f"{type(error).__name__}: {first_line(error)}"
