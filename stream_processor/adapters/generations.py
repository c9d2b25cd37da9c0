"""Which generation readers see and how long telemetry is kept, as ClickHouse's shared database says: what a worker starts with and keeps an eye on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clickhouse_driver.errors import Error as DriverError

from schemas.generations import FIRST_GENERATION
from schemas.retention import QUERY, Retention
from service_kit.clickhouse import connected
from service_kit.generations import begins, read_generations, serving
from service_kit.settings import ClickHouseSettings
from stream_processor.ports import StoreUnavailable


@dataclass(frozen=True, slots=True)
class ServingConfiguration:
    """*generation*: the one to write; *retention*: how long telemetry is kept; *begins*: see ``begins_of``."""

    generation: int
    retention: Retention
    begins: Mapping[int, int] = field(default_factory=dict)


def serving_configuration(settings: ClickHouseSettings, generation: int | None) -> ServingConfiguration:
    """What holds now. *generation*: the one that the settings name; None: the one that readers see, the first where there is none yet.

    Raises StoreUnavailable where ClickHouse cannot be asked.
    """
    try:
        with connected(settings, settings.database) as client:
            retention = Retention.of(client.execute(QUERY))
            found = read_generations(client, settings.database)
    except (DriverError, OSError, EOFError) as error:
        raise StoreUnavailable(f"ClickHouse at {settings.host}:{settings.port}: {_first_line(error)}") from error
    number = generation or serving(found) or FIRST_GENERATION
    return ServingConfiguration(number, retention, begins(found, number))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
