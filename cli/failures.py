"""What servers refuse becomes one line and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import typer
from clickhouse_driver.errors import Error as ClickHouseError
from confluent_kafka import KafkaException

EXIT_WRONG = 1
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h


@contextmanager
def explained(*own: type[Exception]) -> Iterator[None]:
    """Say an error of a server (exit 69) or one of *own* (exit 1) in one line on standard error."""
    try:
        yield
    except own as error:
        problem, code = str(error), EXIT_WRONG
    except KafkaException as error:
        problem, code = f"Kafka: {error.args[0].str() if hasattr(error.args[0], 'str') else error}", EXIT_UNAVAILABLE
    except psycopg.Error as error:
        problem, code = f"PostgreSQL: {_first(error)}", EXIT_UNAVAILABLE
    except ClickHouseError as error:
        problem, code = f"ClickHouse: {_first(error)}", EXIT_UNAVAILABLE
    except (httpx.HTTPError, OSError, EOFError, TimeoutError) as error:
        problem, code = f"{type(error).__name__}: {_first(error)}", EXIT_UNAVAILABLE
    else:
        return
    typer.echo(problem, err=True)
    raise typer.Exit(code)


def _first(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
