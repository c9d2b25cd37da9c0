"""Faults that lose data, on a pipe of its own: what `status` calls them, and what heals them until every report is equal again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.expendable import Site
from tests.support.losses import lose_slot
from tests.support.processor_case import Case, equal_case
from tests.support.system import System

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def site(expendable: System) -> Iterator[Site]:
    found = Site(expendable)
    yield found
    found.close()


@pytest.fixture
def case(site: Site, request: pytest.FixtureRequest) -> Iterator[Case]:
    """Four prostheses with owners and an event a day, all of it equal; a number for each test."""
    with equal_case(site.system, number=11 + NUMBERS.index(request.function.__name__), prostheses=4) as found:
        yield found


def test_a_dropped_slot_of_telemetry_is_named_and_healed_by_a_snapshot_and_a_repair(site: Site, case: Case) -> None:
    kept = [case.insert(prosthesis, recorded_at=case.at(2, 3)) for prosthesis in case.prostheses]
    assert case.verify().ok
    lose_slot(site.system, "bionicpro_telemetry")
    for prosthesis in case.prostheses:
        case.insert(prosthesis, recorded_at=case.at(3, 3))
    case.telemetry.execute("UPDATE telemetry.telemetry_events SET active_ms = 5 WHERE event_id = %s", (kept[0],))
    case.telemetry.execute("UPDATE telemetry.telemetry_events SET recorded_at = %s WHERE event_id = %s", (case.at(4, 3), kept[1]))
    case.telemetry.execute("DELETE FROM telemetry.telemetry_events WHERE event_id = %s", (kept[2],))
    assert "connectors resnapshot telemetry" in site.wait_for_problem("the slot bionicpro_telemetry was dropped")
    assert site.operator("connectors", "resnapshot", "telemetry", "--yes").exit_code == 0
    found = site.repaired(case)
    assert found["verification"]["ok"]
    assert case.verify().ok
    site.wait_until_well()


def test_a_dropped_slot_of_the_crm_is_named_and_healed_deleted_contracts_included(site: Site, case: Case) -> None:
    lose_slot(site.system, "bionicpro_crm")
    gone, renamed, *_ = case.prostheses
    case.crm.execute("DELETE FROM crm.contracts WHERE contract_id = %s", (gone,))
    case.crm.execute("UPDATE crm.customers SET full_name = 'Another' WHERE customer_id = %s", (renamed,))
    assert "connectors resnapshot crm" in site.wait_for_problem("the slot bionicpro_crm was dropped")
    assert site.operator("connectors", "resnapshot", "crm", "--yes").exit_code == 0
    assert not case.verify().ok, "the deleted contract is not told by a snapshot"
    found = site.repaired(case)
    assert found["verification"]["ok"]
    assert {row["prosthesis_id"] for row in case.reports()} == {str(prosthesis) for prosthesis in case.prostheses[1:]}
    assert {row["customer_name"] for row in case.reports() if row["prosthesis_id"] == str(renamed)} == {"Another"}
    site.wait_until_well()


def test_a_connector_that_cannot_log_in_is_named_and_runs_again_afterwards(site: Site, case: Case) -> None:
    superuser: dict[str, Any] = dict(site.system.postgres.conninfo())
    with psycopg.connect(**superuser, autocommit=True) as connection:
        connection.execute("ALTER ROLE debezium NOLOGIN")
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'debezium'")
            case.insert(case.prostheses[0], recorded_at=case.at(2, 4))
            said = site.wait_for_problem("nobody reads slot bionicpro_telemetry", "connector telemetry is")
            assert "bionicpro connectors" in said
        finally:
            connection.execute("ALTER ROLE debezium LOGIN")
    assert site.operator("connectors", "apply").exit_code == 0
    site.wait_until_well()
    assert case.verify().ok


NUMBERS = [name for name in globals() if name.startswith("test_")]
