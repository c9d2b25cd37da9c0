"""Percentiles, whose accounts are taken, and which path a token opens."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.probe.observers import ServiceObserver
from cli.probe.settings import ProbeSection, SourceAccountError, source_accounts, source_file
from cli.probe.token import Given, OwnTokens, TokenError, subject_of, tokens
from service_kit.percentiles import percentile, told
from service_kit.settings import KeycloakSettings

ACCOUNTS = """# a comment
BIONICPRO_CRM_DB__DATABASE=crm
BIONICPRO_CRM_DB__USER=crm_app
BIONICPRO_CRM_DB__PASSWORD=one=two
BIONICPRO_TELEMETRY_DB__DATABASE=telemetry
BIONICPRO_TELEMETRY_DB__USER=telemetry_ingest
BIONICPRO_TELEMETRY_DB__PASSWORD=three
"""


def token(subject: str) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"sub": subject}).encode()).decode().rstrip("=")
    return f"head.{payload}.signature"


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 5), (51, 6), (95, 10), (99, 10), (100, 10)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], percent) == value


def test_one_value_is_every_percentile_and_none_is_an_error() -> None:
    assert told([0.25]) == {"p50": 250.0, "p95": 250.0, "p99": 250.0, "max": 250.0}
    assert told([]) == {}
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_the_sources_accounts_come_from_the_file_and_not_from_the_operators_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIONICPRO_CRM_DB__USER", "auditor")
    file = tmp_path / "simulator.env"
    file.write_text(ACCOUNTS)
    crm, telemetry = source_accounts(file)
    assert (crm.user, telemetry.user) == ("crm_app", "telemetry_ingest")
    assert crm.password.get_secret_value() == "one=two"


def test_missing_accounts_are_named_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(SourceAccountError, match="--source-env"):
        source_accounts(tmp_path / "absent.env")
    file = tmp_path / "half.env"
    file.write_text(ACCOUNTS.replace("BIONICPRO_TELEMETRY_DB__USER=telemetry_ingest\n", ""))
    with pytest.raises(SourceAccountError, match=r"half.env: .*user"):
        source_accounts(file)


def test_the_file_of_the_accounts_stands_beside_the_operators() -> None:
    assert source_file(Path("x.env"), Path("a/operator.env")) == Path("x.env")
    assert source_file(None, Path("a/operator.env")) == Path("a/simulator.env")
    assert source_file(None, None) == Path(".local/default/env/simulator.env")


def test_ones_own_token_asks_for_ones_own_reports_and_any_other_as_support() -> None:
    assert ServiceObserver("http://reports/", Given(token("me")), "me").described.startswith("http://reports/reports/me/today")
    assert ServiceObserver("http://reports", Given(token("agent")), "me").described.startswith("http://reports/users/me/today")


@pytest.mark.parametrize("bearer", ["", "opaque", "a.b.c", "a.bnVsbA.c"])
def test_what_is_no_token_is_refused_before_it_is_sent(bearer: str) -> None:
    with pytest.raises(TokenError, match="BIONICPRO_PROBE__BEARER"):
        subject_of(bearer)
    with pytest.raises(TokenError):
        Given(bearer)


def test_a_given_token_goes_before_the_probes_own_login_and_one_of_them_must_be_there() -> None:
    own = ProbeSection(client_secret=SecretStr("a-secret-of-the-test"))
    assert isinstance(tokens(KeycloakSettings(), own), OwnTokens)
    given = tokens(KeycloakSettings(), own.model_copy(update={"bearer": SecretStr(token("somebody"))}))
    assert given.fresh() == token("somebody")
    with pytest.raises(TokenError, match="BIONICPRO_PROBE__CLIENT_SECRET"):
        tokens(KeycloakSettings(), ProbeSection())
