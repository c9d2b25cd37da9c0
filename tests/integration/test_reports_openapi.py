"""The OpenAPI document describes the service completely, and the service keeps to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.days import today
from tests.support.reports_world import Service, new_user, row

pytest_plugins = ["tests.support.reports_fixtures"]

MAX_EXAMPLES = 15
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def document(service: Service) -> dict[str, Any]:
    answer = service.client.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def validate(openapi: dict[str, Any], reference: str, body: Any) -> None:
    jsonschema_rs.validator_for({"$ref": reference, "components": openapi["components"]}).validate(body)


def test_every_operation_is_described_with_an_example_errors_and_its_security(service: Service) -> None:
    openapi = document(service)
    for path, operations in openapi["paths"].items():
        operation = operations["get"]
        assert operation["summary"], path
        assert set(operations) == {"get"}
        assert bool(operation["security"]) == path.startswith(("/reports", "/users")), path
        for status in ("401", "404", "422", "429", "503") if operation["security"] else ():
            assert "application/problem+json" in operation["responses"][status]["content"], (path, status)
        for media_type, content in operation["responses"]["200"]["content"].items():
            assert media_type != "application/json" or "example" in content, path
    assert "HTTPValidationError" not in openapi["components"]["schemas"]


def test_every_example_is_valid_against_its_own_schema(service: Service) -> None:
    openapi = document(service)
    checked = 0
    for operations in openapi["paths"].values():
        content = operations["get"]["responses"]["200"]["content"].get("application/json")
        if content:
            validate(openapi, content["schema"]["$ref"], content["example"])
            checked += 1
    assert checked >= 10


@pytest.mark.parametrize(
    ("rest", "shape"),
    [
        ("", "Page"),
        ("/today", "Today"),
        ("/summary", "Summary"),
        (f"/hours/{today()}", "Hours"),
        ("/typical-day", "TypicalDay"),
        (f"/errors/{today()}", "ErrorTimes"),
        ("/prostheses", "Prostheses"),
        ("/error-texts", "ErrorTexts"),
        ("/nonsense", "Problem"),
    ],
)
def test_answers_are_valid_against_the_document(service: Service, rest: str, shape: str) -> None:
    user = new_user()
    service.mart.put(row(user, today()), row(user, today() - timedelta(days=1), signal_count=0, battery_count=0, location_lat_cell=None))
    service.mart.progress(datetime.now(UTC))
    validate(document(service), f"#/components/schemas/{shape}", service.own(user, rest).json())


def test_the_document_lists_exactly_the_contracts_paths(service: Service) -> None:
    rest = [
        "",
        "/today",
        "/summary",
        "/hours/{day}",
        "/typical-day",
        "/errors/{day}",
        "/prostheses",
        "/error-texts",
        "/stream",
        "/export.csv",
        "/export.pdf",
    ]
    expected = {f"/{base}/{{user_id}}{part}" for base in ("reports", "users") for part in rest} | {
        "/users",
        "/health/live",
        "/health/ready",
    }
    assert set(document(service)["paths"]) == expected


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    "rest",
    [
        "",
        "/today",
        "/summary",
        "/hours/{day}",
        "/typical-day",
        "/errors/{day}",
        "/prostheses",
        "/error-texts",
        "/export.csv",
        "/export.pdf",
    ],
)
def test_generated_requests_get_only_documented_answers(service: Service, rest: str, mode: GenerationMode) -> None:
    user = new_user()
    service.mart.put(row(user, today()))
    operation = schemathesis.openapi.from_dict(document(service))[f"/reports/{{user_id}}{rest}"]["GET"]

    @settings(max_examples=MAX_EXAMPLES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case) -> None:
        case.path_parameters["user_id"] = user
        headers = {"Authorization": f"Bearer {service.issuer.token(user)}"}
        case.call_and_validate(base_url=service.served.url, headers=headers, checks=CHECKS)

    run()
