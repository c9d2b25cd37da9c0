"""Settings of ``bionicpro rebuild``: the operator's, and the accounts ``migrator`` and ``writer`` out of files beside the operator's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError

from cli.environment import DEFAULT
from cli.rebuild.progress import RebuildError
from connectors.cli import TopicSettings
from reconciliation.settings import ReconciliationSettings
from service_kit.environment_files import read
from service_kit.settings import ClickHouseSettings, ConnectSettings, Section
from stream_processor.settings import ProcessorSection

MIGRATOR_FILE, PROCESSOR_FILE = "migrator.env", "processor.env"
_CLICKHOUSE = "BIONICPRO_CLICKHOUSE__"


class RebuildSection(Section):
    """``BIONICPRO_REBUILD__…``: sizes of portions, and how long (seconds) nothing may move before it is called a failure.

    *migrator_password*: of the account ``migrator``, where there is no file with it (containers).
    *start_workers*: the words of a command that starts workers which stay down, run when readers see the new generation.
    """

    migrator_password: SecretStr | None = None
    start_workers: tuple[str, ...] = Field(
        default=(), description="a JSON list of words; it must end by itself, and do nothing to a worker that runs"
    )
    portion_rows: int = Field(default=2_000_000, gt=0, description="raw rows that are copied or folded at once")
    portion_prostheses: int = Field(default=500, gt=0)
    stall_s: float = Field(default=120.0, gt=0, description="without any progress the command ends, to be started again")
    vanished_customers: int = Field(
        default=10,
        ge=0,
        description="so many customers may be gone from the CRM without the directory's having heard of it; they are erased",
    )
    handover_s: float = Field(default=60.0, gt=0, description="how long to wait for other workers once the new generation is served")


class RebuildSettings(ReconciliationSettings):
    processor: ProcessorSection = ProcessorSection()
    connect: ConnectSettings = ConnectSettings()
    rebuild: RebuildSection = RebuildSection()
    topics: TopicSettings = TopicSettings()


def beside(operators: Path | None, name: str) -> Path:
    """The file *name* beside the operator's, or the default instance's."""
    return (operators or DEFAULT).with_name(name)


def migrator_account(
    given: Path | None, operators: Path | None, settings: ClickHouseSettings, section: RebuildSection
) -> ClickHouseSettings:
    """The account ``migrator``: out of the file given, of the environment, or of migrator.env beside the operator's. Raises RebuildError."""
    if given is None and section.migrator_password is not None:
        return settings.model_copy(update={"user": "migrator", "password": section.migrator_password})
    file = given or beside(operators, MIGRATOR_FILE)
    return clickhouse_account(variables(file, "--migrator-env"), file)


def variables(file: Path, option: str) -> dict[str, str]:
    """The variables of *file*. Raises RebuildError naming *option*."""
    try:
        return read(file)
    except OSError as error:
        raise RebuildError(f"{file}: {error.strerror}: name the file with {option} FILE") from None


def clickhouse_account(found: Mapping[str, str], file: Path) -> ClickHouseSettings:
    """The ClickHouse account in the variables of *file*. Raises RebuildError."""
    try:
        return ClickHouseSettings.model_validate(
            {n.removeprefix(_CLICKHOUSE).lower(): v for n, v in found.items() if n.startswith(_CLICKHOUSE)}
        )
    except ValidationError as error:
        wrong = ", ".join(str(problem["loc"][0]) for problem in error.errors(include_input=False) if problem["loc"])
        raise RebuildError(f"{file}: {_CLICKHOUSE}* is incomplete or wrong: {wrong}") from None
