"""Which generation readers see and how long telemetry is kept, as ClickHouse's shared database says: what a worker starts with and keeps an eye on."""

from __future__ import annotations

from dataclasses import dataclass

from clickhouse_driver.errors import Error as DriverError

from schemas.generations import FIRST_GENERATION
from schemas.retention import QUERY, Retention
from service_kit.clickhouse import connected
from service_kit.settings import ClickHouseSettings
from stream_processor.ports import StoreUnavailable

SERVING = "SELECT max(generation) FROM generations FINAL WHERE state = 'serving' HAVING count() > 0"


@dataclass(frozen=True, slots=True)
class ServingConfiguration:
    """*generation*: the one to write; *retention*: how long telemetry is kept."""

    generation: int
    retention: Retention


def serving_configuration(settings: ClickHouseSettings, generation: int | None) -> ServingConfiguration:
    """What holds now. *generation*: the one that the settings name; None: the one that readers see, the first where there is none yet.

    Raises StoreUnavailable where ClickHouse cannot be asked.
    """
    try:
        with connected(settings, settings.database) as client:
            retention = Retention.of(client.execute(QUERY))
            serving = client.execute(SERVING) if generation is None else []
    except (DriverError, OSError, EOFError) as error:
        raise StoreUnavailable(f"ClickHouse at {settings.host}:{settings.port}: {_first_line(error)}") from error
    number = generation or (int(serving[0][0]) if serving else FIRST_GENERATION)
    return ServingConfiguration(number, retention)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
