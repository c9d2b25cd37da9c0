"""What servers refuse becomes one line and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import typer
from clickhouse_driver.errors import Error as ClickHouseError
from confluent_kafka import KafkaError, KafkaException

from service_kit.clickhouse_errors import Trouble, trouble_of
from service_kit.error_text import first_line

EXIT_WRONG = 1
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h

SERVERS = (KafkaException, psycopg.Error, ClickHouseError, httpx.HTTPError, OSError, EOFError)
# psycopg files them under OperationalError, with the server's being away.
_REFUSED_BY_POSTGRESQL = (
    psycopg.errors.InvalidCatalogName,
    psycopg.errors.InvalidAuthorizationSpecification,
    psycopg.errors.ObjectNotInPrerequisiteState,
)


@contextmanager
def explained(*own: type[Exception]) -> Iterator[None]:
    """Say an error in one line on standard error: one of *own* and what a server refused end with 1, a server that does not answer with 69."""
    try:
        yield
    except (*own, *SERVERS) as error:
        code = EXIT_WRONG if isinstance(error, own) or not is_outage(error) else EXIT_UNAVAILABLE
        typer.echo(str(error) if isinstance(error, own) else said(error), err=True)
        raise typer.Exit(code) from None


def is_outage(error: Exception) -> bool:
    """Whether a server or the network is away or overloaded; else the request or its data were refused, and asking again does not help."""
    match error:
        case KafkaException():
            return not error.args or not isinstance(error.args[0], KafkaError) or _passing(error.args[0])
        case psycopg.Error():
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not isinstance(error, _REFUSED_BY_POSTGRESQL)
        case ClickHouseError():
            return trouble_of(error) is Trouble.OUTAGE
        case httpx.HTTPStatusError():
            return error.response.status_code >= 500 or error.response.status_code in {408, 429}
        case _:
            return isinstance(error, httpx.TransportError | OSError | EOFError)  # TimeoutError is an OSError


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


def _passing(error: KafkaError) -> bool:
    return bool(error.retriable()) or error.code() in {
        KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE, KafkaError._MSG_TIMED_OUT,
    }  # fmt: skip
