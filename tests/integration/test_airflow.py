"""The daily reconciliation in a real Airflow, on a pipe of its own: what is seeded is found and mended, what cannot be mended fails with a summary."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from local.servers.airflow import NAMES
from tests.support.expendable import Site
from tests.support.processor import until
from tests.support.processor_case import Case, equal_case
from tests.support.scheduler import RUN_S, Scheduler
from tests.support.system import System

pytestmark = pytest.mark.timeout(1800)
PROSTHESES = 8
COMPARING = ("window.compare_and_mend", 0)
GAP = 3  # events of each prosthesis that never reach Kafka


@pytest.fixture(scope="module")
def site(expendable: System) -> Iterator[Site]:
    found = Site(expendable)
    yield found
    found.close()


@pytest.fixture(scope="module")
def case(site: Site) -> Iterator[Case]:
    """Eight prostheses with owners and an event a day, all of it equal, in the days that a scheduled run looks at."""
    first = datetime.now(UTC).date() - timedelta(days=8)
    with equal_case(site.system, number=0, prostheses=PROSTHESES, base=946_000, first=first) as found:
        yield found


@pytest.fixture(scope="module")
def seeded(site: Site, case: Case) -> datetime:
    """When the first faults were there."""
    seed(site, case)
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def scheduler(site: Site, seeded: datetime) -> Iterator[Scheduler]:
    """Started when the first faults are there: what its scheduler runs at once is the run that finds them."""
    found = Scheduler(site.system)
    yield found
    found.close()


def by_hand(site: Site, table: str, replace: str, prosthesis: int, day: date) -> None:
    """Write the rows of a day again with something replaced, as somebody with every right might."""
    at = "toDate(recorded_at)" if table == "telemetry_events" else "report_date"
    statement = f"INSERT INTO {table} SELECT * REPLACE ({replace}) FROM (SELECT * FROM {table} FINAL WHERE prosthesis_id = %(p)s AND {at} = %(day)s)"
    site.migrator(lambda client: client.execute(statement, {"p": str(prosthesis), "day": day}))


def seed(site: Site, case: Case) -> None:
    """A fault of each kind, each on a prosthesis of its own, on the case's third day; and a gap."""
    deleted, altered, extra, dead, raw, state, lost, gap = case.prostheses
    day = case.first + timedelta(days=2)
    gone = "ALTER TABLE {} DELETE WHERE prosthesis_id = %(p)s AND {} = %(day)s SETTINGS mutations_sync = 1"
    site.migrator(lambda client: client.execute(gone.format("user_daily_reports", "report_date"), {"p": str(deleted), "day": day}))
    by_hand(site, "user_daily_reports", "usage_ms + 1 AS usage_ms", altered, day)
    by_hand(site, "user_daily_reports", f"toDate32('{case.first - timedelta(days=1)}') AS report_date", extra, day)
    by_hand(site, "user_daily_reports", "1 AS is_deleted", dead, day)
    by_hand(site, "telemetry_events", "toUInt32(7) AS active_ms", raw, day)
    other = f"(SELECT any(fold) FROM report_state FINAL WHERE prosthesis_id = '{altered}' AND report_date = '{case.first + timedelta(days=1)}') AS fold"
    by_hand(site, "report_state", other, state, day)
    site.migrator(lambda client: client.execute(gone.format("telemetry_events", "toDate(recorded_at)"), {"p": str(lost), "day": day}))
    unpublished(site, lambda: [case.insert(gap, recorded_at=case.at(2, hour)) for hour in range(GAP)])


def unpublished(site: Site, work: Any) -> None:
    """Do *work* while changes of telemetry are not published: PostgreSQL has them, and they never come to Kafka."""
    superuser: dict[str, Any] = dict(site.system.postgres.conninfo("telemetry", "postgres"))
    with psycopg.connect(**superuser, autocommit=True) as connection:
        connection.execute("ALTER PUBLICATION bionicpro_telemetry DROP TABLE telemetry.telemetry_events")
        try:
            work()
        finally:
            connection.execute("ALTER PUBLICATION bionicpro_telemetry ADD TABLE telemetry.telemetry_events")


def recorded(site: Site, run_id: str) -> dict[str, dict[str, int]]:
    """Of each phase, the sums of what was counted."""
    names = ("different", "missing", "surplus", "raw_missing", "raw_different", "raw_surplus", "states")
    sums = ", ".join(f"sum({name})" for name in names)
    query = f"SELECT phase, {sums} FROM reconciliation_runs FINAL WHERE run_id = %(run)s GROUP BY phase"
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in site.auditor.execute(query, {"run": run_id})}


NOTHING = dict.fromkeys(("different", "missing", "surplus", "raw_missing", "raw_different", "raw_surplus", "states"), 0)


def test_the_first_run_finds_every_seeded_fault_once_and_mends_it(site: Site, case: Case, seeded: datetime, scheduler: Scheduler) -> None:
    run = scheduler.first(seeded, **{"from": str(case.first - timedelta(days=1)), "to": str(case.last)})
    assert run.state == "success", f"{run}"
    counted = recorded(site, run.run_id)
    # The gap's day differs as a report too; so does nothing else.
    assert counted["found"] == {"different": 2, "missing": 2, "surplus": 1, "raw_missing": 1 + GAP, "raw_different": 1, "raw_surplus": 0, "states": 1}  # fmt: skip
    assert counted["left"] == NOTHING
    assert case.verify().ok
    twice = "SELECT count() FROM (SELECT event_id_lo FROM telemetry_events FINAL WHERE prosthesis_id = %(p)s AND deleted = 0)"
    assert site.migrator(lambda client: client.execute(twice, {"p": str(case.prostheses[-1])})) == [(4 + GAP,)]
    kinds = "SELECT groupUniqArray(kind) FROM reconciliation_differences FINAL WHERE run_id = %(run)s AND phase = 'found'"
    assert set(site.auditor.execute(kinds, {"run": run.run_id})[0][0]) == {"field", "missing", "surplus", "raw missing", "raw different", "state"}  # fmt: skip
    assert "Pausing task as DEFERRED" in scheduler.log(run.run_id, "window.await_processor", map_index=0), "it holds no worker"
    assert scheduler.link(run, "window.await_processor", 0)["Report of this run"].endswith(f"runs/{run.run_id}/tasks/conclude")


def test_a_run_by_rest_names_its_days_and_raises_no_alarm_while_telemetry_streams(site: Site, case: Case, scheduler: Scheduler) -> None:
    assert scheduler.as_nobody("dags") == 401
    with case.loaded() as load:
        load.wait_for(500)
        begun = scheduler.begin(**{"from": str(case.first), "to": str(case.last), "repair": False})
        until(lambda: scheduler.tasks(begun).get(COMPARING) in {"running", "success", "failed"}, "it compares", RUN_S)
        load.wait_for(1500)  # reports that move are looked at again and again
    run = scheduler.ended(begun)
    assert run.state == "success", run
    assert recorded(site, run.run_id)["found"] == NOTHING
    assert str(case.first) in scheduler.log(run.run_id, "windows")


def test_what_no_repair_can_mend_fails_the_run_with_a_summary(site: Site, case: Case, scheduler: Scheduler) -> None:
    day = case.first + timedelta(days=2)
    by_hand(site, "user_daily_reports", "usage_ms + 1 AS usage_ms, version + 1000000000 AS version", case.prostheses[0], day)
    run = scheduler.run(**{"from": str(case.first), "to": str(case.last)})
    gone = "ALTER TABLE user_daily_reports DELETE WHERE prosthesis_id = %(p)s AND version > 1000000000 SETTINGS mutations_sync = 1"
    site.migrator(lambda client: client.execute(gone, {"p": str(case.prostheses[0])}))
    assert run.state == "failed"
    assert {state for (task, _), state in run.tasks.items() if task != "conclude"} == {"success"}
    assert "NOT EQUAL" in run.said
    assert "different 1" in run.said
    assert "bionicpro repair" in run.said


PROGRAM = """
import json
from datetime import date
from airflow.dag_processing.dagbag import DagBag
from airflow.configuration import conf

bag = DagBag(conf.get("core", "dags_folder"), bundle_name="dags-folder")
dag = bag.dags["bionicpro_reconciliation"]
deadlines, dag.deadline = dag.deadline, None  # dag.test() looks for them under ids that only a stored Dag has (Airflow 3.3)
run = dag.test(run_conf={"from": "%s", "to": "%s"})
print(json.dumps({
    "errors": list(bag.import_errors.values()),
    "dags": list(bag.dags),
    "deadlines": len(deadlines),
    "tasks": sorted(dag.task_ids),
    "unbounded": [task.task_id for task in dag.tasks if task.execution_timeout is None],
    "state": str(run.state),
}))
"""


def test_the_file_holds_one_sound_dag_whose_test_run_ends_well(site: Site, case: Case, scheduler: Scheduler) -> None:
    by_hand(site, "user_daily_reports", "usage_ms + 1 AS usage_ms", case.prostheses[0], case.first + timedelta(days=2))
    found = scheduler.in_process(PROGRAM % (case.first, case.last))
    assert found == {
        "errors": [],
        "dags": ["bionicpro_reconciliation"],
        "deadlines": 1,
        "tasks": ["conclude", "window.await_processor", "window.compare_again", "window.compare_and_mend", "windows"],
        "unbounded": [],
        "state": "success",
    }
    assert case.verify().ok


def test_airflows_account_enters_no_database_but_its_own_and_its_files_are_its_owners_alone(site: Site, scheduler: Scheduler) -> None:
    secrets, instance = site.system.instance.secrets, site.system.instance
    place: dict[str, Any] = {"host": "127.0.0.1", "port": instance.ports["postgres"], "user": "airflow", "password": secrets["airflow"]}
    for database in ("crm", "telemetry", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(**place, dbname=database)
    with psycopg.connect(**place, dbname="airflow") as connection:
        row = connection.execute("SELECT count(*) FROM connection").fetchone()
        assert row == (0,), "connections are in no database"
    files = [instance.env_file(name) for name in NAMES] + [instance.config("airflow-logins.json")]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    without = [instance.env_file(name).read_text() for name in NAMES[:2]]
    assert not any(
        secrets[name] in text for text in without for name in ("auditor", "clickhouse_auditor", "clickhouse_recorder", "kafka_operator")
    )
