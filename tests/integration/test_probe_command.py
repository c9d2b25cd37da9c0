"""``bionicpro probe`` against the real pipeline, at the view and through a reports service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from cli.probe.subject import USER_ID
from cli.probe.token import OwnTokens
from reports_api.app import create_app
from service_kit.settings import KeycloakSettings
from tests.support.bff_servers import Served
from tests.support.endpoints import KeycloakEndpoint
from tests.support.operator import Operator, with_processor
from tests.support.reports_world import Issuer, Mart, Service, running, settings_for
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

pytest_plugins = ["tests.support.reports_fixtures"]
DEADLINE = ("--deadline", "60")


@pytest.fixture(scope="module")
def operator(pipe: System) -> Operator:
    return with_processor(pipe)


@pytest.fixture
def source_file(pipe: System, tmp_path: Path) -> Path:
    file = tmp_path / "simulator.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in pipe.variables("simulator").items()))
    return file


@pytest.fixture(scope="module")
def reports(pipe: System, issuer: Issuer) -> Iterator[Service]:
    """A reports service over the pipe's mart."""
    mart = Mart(pipe.clickhouse)
    with running(mart, issuer) as service:
        yield service
    mart.close()


def test_a_probe_sees_each_of_its_marks_and_takes_them_away(operator: Operator, pipe: System, source_file: Path) -> None:
    told = operator.json("probe", "--count", "5", "--rate", "10", "--source-env", str(source_file), *DEADLINE)
    assert told["missing"] == 0
    assert told["removed"] is True
    assert 0 < told["ms"]["p50"] <= told["ms"]["p99"] <= told["ms"]["max"]
    assert "not through the reports service" in told["seen_at"]
    with psycopg.connect(**pipe.postgres.conninfo("telemetry", "auditor")) as connection:
        left = connection.execute("SELECT count(*) FROM telemetry.telemetry_events WHERE error_code LIKE 'PROBE.%'").fetchone()
    assert left == (0,)


def test_two_probes_share_one_wearer(operator: Operator, pipe: System, source_file: Path) -> None:
    for _ in range(2):
        operator.json("probe", "--count", "1", "--source-env", str(source_file), *DEADLINE)
    with psycopg.connect(**pipe.postgres.conninfo("crm", "auditor")) as connection:
        rows = connection.execute(
            "SELECT count(*) FROM crm.contracts JOIN crm.customers USING (customer_id) WHERE user_id = %s", (USER_ID,)
        ).fetchone()
    assert rows == (1,)


def test_a_limit_that_is_not_kept_is_exit_code_1(operator: Operator, source_file: Path) -> None:
    operator.json("probe", "--count", "1", "--max-p99", "0", "--source-env", str(source_file), *DEADLINE, code=1)


def test_a_look_through_the_service_needs_a_token(operator: Operator, source_file: Path) -> None:
    result = operator.without("BIONICPRO_PROBE__CLIENT_SECRET")("probe", "--through-service", "--source-env", str(source_file))
    assert result.exit_code == 1
    assert "BIONICPRO_PROBE__BEARER" in result.stderr


@pytest.mark.parametrize("how", ["--through-service", "--stream"])
def test_the_probes_own_login_sees_its_marks_in_the_service(
    operator: Operator, pipe: System, keycloak: KeycloakEndpoint, source_file: Path, how: str
) -> None:
    mart = Mart(pipe.clickhouse)
    settings = settings_for(
        mart.endpoint, KeycloakSettings(base_url=keycloak.base_url, public_url=keycloak.public_url, realm=keycloak.realm)
    )
    served = Served(create_app(settings)).start()
    try:
        looking = operator.with_variables(BIONICPRO_STATUS__REPORTS_URL=served.url)
        told = looking.json("probe", how, "--count", "3", "--source-env", str(source_file), *DEADLINE)
        assert told["missing"] == 0
        assert f"/reports/{USER_ID}/" in told["seen_at"]
        if how == "--stream":
            assert 0 < told["mart_to_event_ms"]["p50"] <= told["ms"]["max"]
        token = own_token(pipe, keycloak)
        for path in (f"/users/{USER_ID}/today", "/reports/somebody-else/today"):
            answer = httpx.get(f"{served.url}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S, trust_env=False)
            assert answer.status_code == 404
    finally:
        served.stop()
        mart.close()


def own_token(pipe: System, keycloak: KeycloakEndpoint) -> str:
    secret = pipe.variables("operator")["BIONICPRO_PROBE__CLIENT_SECRET"]
    return OwnTokens(KeycloakSettings(base_url=keycloak.base_url, realm=keycloak.realm), "bionicpro-probe", secret).fresh()


@pytest.mark.parametrize("how", ["--through-service", "--stream"])
def test_a_support_token_sees_the_probes_marks_in_the_service(
    operator: Operator, reports: Service, issuer: Issuer, source_file: Path, how: str
) -> None:
    looking = operator.with_variables(BIONICPRO_PROBE__BEARER=issuer.support(), BIONICPRO_STATUS__REPORTS_URL=reports.served.url)
    told = looking.json("probe", how, "--count", "3", "--source-env", str(source_file), *DEADLINE)
    assert told["missing"] == 0
    assert f"/users/{USER_ID}/" in told["seen_at"]


def test_a_wearers_token_does_not_open_the_probes_reports(operator: Operator, reports: Service, issuer: Issuer, source_file: Path) -> None:
    looking = operator.with_variables(BIONICPRO_PROBE__BEARER=issuer.token("somebody"), BIONICPRO_STATUS__REPORTS_URL=reports.served.url)
    result = looking("probe", "--through-service", "--count", "1", "--source-env", str(source_file), *DEADLINE)
    assert result.exit_code == 1
    assert "answers 404" in result.stderr
