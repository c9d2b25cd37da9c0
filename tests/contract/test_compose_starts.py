"""How deploy/compose.yml starts: a busy machine is given time, what stays is started again whenever it ends, what ends is not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.compose_file import REPOSITORY, SERVICES

LEAST_S = 120
# Their check asks only whether the first process is there, and what it asks of a process is true from the first moment.
ALIVE = "kill -0 1"
OPTION = re.compile(r"HEALTHCHECK .*--start-period=(\d+)s")
ENDS = {"sources", "schema", "accounts", "topics", "connectors", "load-demo", "demo-users", "airflow-tables", "operator", "probe"}


def start_periods() -> Iterator[tuple[str, int]]:
    """Of each service with a health check that can fail at the start: the seconds before it counts."""
    for service, body in SERVICES.items():
        dockerfile = (REPOSITORY / body["build"]["dockerfile"]).read_text(encoding="utf-8") if "build" in body else ""
        if "healthcheck" in body:
            yield service, int(body["healthcheck"].get("start_period", "0s").removesuffix("s"))
        elif ALIVE not in dockerfile:
            yield service, max((int(seconds) for seconds in OPTION.findall(dockerfile)), default=0)


def test_health_checks_begin_to_count_after_two_minutes() -> None:
    found = dict(start_periods())
    assert {"postgres", "kafka", "connect", "clickhouse", "redis", "keycloak", "processor", "reports-api", "bff", "airflow"} <= found.keys()
    assert {service: seconds for service, seconds in found.items() if seconds < LEAST_S} == {}


def test_what_stays_is_started_again_and_what_ends_is_not() -> None:
    restarts = {service: body["restart"] for service, body in SERVICES.items()}
    assert restarts == {service: "no" if service in ENDS else "unless-stopped" for service in SERVICES}


def test_nothing_of_a_start_waits_for_what_begins_at_once_alone() -> None:
    """Whoever needs a server waits until it is healthy or its step is done: none only for its container to exist."""
    waits = [wait for body in SERVICES.values() for wait in body.get("depends_on", {}).values()]
    assert {wait["condition"] for wait in waits} == {"service_healthy", "service_completed_successfully"}
