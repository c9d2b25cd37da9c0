"""Settings of ``bionicpro probe``, and the accounts of the sources, which are not the operator's."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr, ValidationError

from cli.status.settings import StatusSection
from service_kit.environment_files import read
from service_kit.settings import ClickHouseSettings, KeycloakSettings, PostgresSettings, Section, ServiceSettings

DEFAULT_SOURCE_FILE = Path(".local/default/env/simulator.env")
SOURCE_FILE = "simulator.env"


class SourceAccountError(RuntimeError):
    """The accounts that write into the sources are not known; the message says where they are looked for."""


class ProbeSection(Section):
    """How to look through the reports service: the probe's own login at Keycloak, or an access token of the role ``support`` in its place."""

    client_id: str = "bionicpro-probe"
    client_secret: SecretStr | None = None
    bearer: SecretStr | None = None


class ProbeSettings(ServiceSettings):
    """Account: ``auditor`` of ClickHouse, which sees everybody's rows of the serving generation."""

    clickhouse: ClickHouseSettings
    keycloak: KeycloakSettings = KeycloakSettings()
    probe: ProbeSection = ProbeSection()
    status: StatusSection = StatusSection()


def source_file(given: Path | None, operators: Path | None) -> Path:
    """Where the sources' accounts are: the file given, or the simulator's beside the operator's, or the default instance's."""
    if given is not None:
        return given
    return operators.with_name(SOURCE_FILE) if operators is not None else DEFAULT_SOURCE_FILE


def source_accounts(file: Path) -> tuple[PostgresSettings, PostgresSettings]:
    """The accounts for the CRM (``crm_app``) and for telemetry (``telemetry_ingest``), out of *file* alone.

    The same variables are the auditor's in the operator's environment, so that one is not looked at. Raises SourceAccountError.
    """
    try:
        variables = read(file)
        return _account(variables, "CRM_DB"), _account(variables, "TELEMETRY_DB")
    except OSError as error:
        raise SourceAccountError(f"{file}: {error.strerror}: name the file with the sources' accounts, --source-env FILE") from None
    except ValidationError as error:
        wrong = ", ".join(str(problem["loc"][0]) for problem in error.errors(include_input=False) if problem["loc"])
        raise SourceAccountError(f"{file}: BIONICPRO_{{CRM,TELEMETRY}}_DB__* are incomplete or wrong: {wrong}") from None


def _account(variables: dict[str, str], section: str) -> PostgresSettings:
    prefix = f"BIONICPRO_{section}__"
    return PostgresSettings.model_validate(
        {name.removeprefix(prefix).lower(): value for name, value in variables.items() if name.startswith(prefix)}
    )
