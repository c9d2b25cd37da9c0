"""Sources that change under a running system: what `status` says of each drift, that reports are not called fresh meanwhile, and that its way back ends equal.

The drifts are real ones, made by the owner of a source of a pipe of its own. Nobody tells the repair which rows came in the gap.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import psycopg
import pytest

from local import supervision
from local.servers import postgres
from tests.support.expendable import Site
from tests.support.operator import Operator
from tests.support.processor import REPOSITORY, until
from tests.support.processor_case import Case, equal_case
from tests.support.system import System

pytestmark = pytest.mark.timeout(900)

EVENTS = "telemetry.telemetry_events"
BASE_ID = 990_000
WATCHED = tuple(argument for part in ("reports-api", "bff", "keycloak", "dead-letters") for argument in ("--without", part))
# What an owner does by hand after a table was made anew: as the source's migrations do it.
RIGHTS = f"""
    ALTER TABLE {EVENTS} OWNER TO telemetry_owner;
    ALTER TABLE {EVENTS} REPLICA IDENTITY FULL;
    GRANT SELECT ON {EVENTS} TO debezium, auditor;
    GRANT SELECT, INSERT, UPDATE, DELETE ON {EVENTS} TO telemetry_ingest;
    CREATE TRIGGER delete_before_truncate BEFORE TRUNCATE ON {EVENTS} FOR EACH STATEMENT EXECUTE FUNCTION telemetry.delete_before_truncate();
"""


class Drifting(Site):
    """The site with a watch that looks every second, and `status` asked for what it saw."""

    def __init__(self, system: System) -> None:
        super().__init__(system)
        self._watch = subprocess.Popen(
            [sys.executable, "-m", "cli", "connectors", "watch"],
            cwd=REPOSITORY,
            env=os.environ | system.variables("watch") | {"BIONICPRO_WATCH__INTERVAL_S": "1"},
        )
        self._watched = Operator({**self.operator.variables, "BIONICPRO_STATUS__MAX_CHECK_AGE_S": "120"})

    def problems(self) -> list[str]:
        result = self._watched("status", *WATCHED)
        return [line for line in result.output.splitlines() if " → " in line]

    def close(self) -> None:
        self._watch.terminate()
        assert self._watch.wait(timeout=60) == 0
        super().close()

    def all_problems(self) -> list[str]:
        """Those of dead letters among them, which other tests leave behind."""
        return [line for line in self._watched("status", *WATCHED[:-2]).output.splitlines() if " → " in line]

    def owner(self, schema: str, statements: str) -> None:
        """As a superuser, for some statements are the owner's and some the administrator's."""
        conninfo: dict[str, Any] = dict(self.system.postgres.conninfo(schema))
        with psycopg.connect(**conninfo, autocommit=True) as connection:
            connection.execute(statements.encode())

    def position(self) -> int:
        """The end of the log of the telemetry server, as the watch last stored it."""
        query = "SELECT max(lsn) FROM source_checks FINAL WHERE source = 'telemetry' AND generation = %(g)s"
        return int(self.auditor.execute(query, {"g": self.serving()})[0][0])

    def stop_postgres(self) -> None:
        supervision.stop_programs(self.system.instance, ["postgres"])

    def start_postgres(self) -> None:
        supervision.start_programs(self.system.instance, ["postgres"])
        until(lambda: postgres.ready(self.system.instance), "PostgreSQL answers")

    def fresh_until(self) -> datetime:
        """What readers are told: up to when the data is known, at most."""
        return self.auditor.execute("SELECT max(as_of) FROM partition_progress WHERE topic = 'prosthesis.log'")[0][0]

    def dead_letters(self) -> dict[str, int]:
        return dict(self.operator.json("dlq", "list")["reasons"])


@pytest.fixture(scope="module")
def site(expendable: System) -> Iterator[Drifting]:
    found = Drifting(expendable)
    found.wait_until_well()
    yield found
    found.close()


@pytest.fixture(scope="module")
def case(site: Drifting) -> Iterator[Case]:
    """Four prostheses with owners and an event a day, all of it equal."""
    with equal_case(site.system, number=1, prostheses=4, base=BASE_ID, first=date(2006, 3, 1)) as found:
        yield found


def said_and_not_fresh(site: Drifting, what: str, *, do: str) -> None:
    """`status` names the drift and what to do, and what readers are told of freshness stands still though heartbeats arrive."""
    line = site.wait_for_problem(what)
    assert do in line, line
    before = site.fresh_until()
    newest = f"SELECT max(as_of) FROM bionicpro_g{site.serving()}.partition_progress FINAL WHERE topic = 'prosthesis.log'"
    until(lambda: site.auditor.execute(newest)[0][0] > before, "heartbeats arrive")
    assert site.fresh_until() == before


def mended(site: Drifting, case: Case) -> None:
    assert site.repaired(case)["verification"]["ok"]
    assert case.verify().ok
    site.wait_until_well()


def test_a_table_that_was_swapped_by_a_rename_is_named_and_its_rows_come_by_a_repair(site: Drifting, case: Case) -> None:
    site.owner(
        "telemetry",
        f"""BEGIN;
        ALTER TABLE {EVENTS} RENAME TO telemetry_events_old;
        CREATE TABLE {EVENTS} (LIKE telemetry.telemetry_events_old INCLUDING ALL);
        INSERT INTO {EVENTS} SELECT * FROM telemetry.telemetry_events_old;
        SELECT setval(pg_get_serial_sequence('{EVENTS}', 'event_id'), (SELECT max(event_id) FROM {EVENTS}));
        GRANT SELECT, INSERT, UPDATE, DELETE ON {EVENTS} TO telemetry_ingest;
        COMMIT""",
    )
    for prosthesis in case.prostheses:
        case.insert(prosthesis, recorded_at=case.at(2, 5))
    said_and_not_fresh(site, f"{EVENTS} is not in publication", do=f"ADD TABLE {EVENTS}")
    site.owner("telemetry", RIGHTS + f"DROP TABLE telemetry.telemetry_events_old; ALTER PUBLICATION bionicpro_telemetry ADD TABLE {EVENTS}")
    assert not case.verify().ok
    mended(site, case)


def test_without_full_identity_a_delete_is_a_dead_letter_and_a_repair_takes_the_row_out(site: Drifting, case: Case) -> None:
    gone = case.insert(case.prostheses[0], recorded_at=case.at(3, 5))
    assert case.verify().ok
    before = site.dead_letters().get("without-identity", 0)
    site.owner("telemetry", f"ALTER TABLE {EVENTS} REPLICA IDENTITY DEFAULT")
    case.telemetry.execute(f"DELETE FROM {EVENTS} WHERE event_id = %s", (gone,))
    said_and_not_fresh(site, "has not REPLICA IDENTITY FULL", do="REPLICA IDENTITY FULL`, then `bionicpro repair`")
    until(lambda: site.dead_letters().get("without-identity", 0) == before + 1, "the delete is a dead letter")
    assert "then `bionicpro repair`" in next(line for line in site.all_problems() if "did not say all that they are about" in line)
    site.owner("telemetry", f"ALTER TABLE {EVENTS} REPLICA IDENTITY FULL")
    mended(site, case)


@pytest.mark.parametrize(("table", "column"), [("customers", "timezone"), ("contracts", "customer_id")])
def test_a_renamed_column_of_the_crm_changes_no_report_and_a_repair_brings_what_came_meanwhile(
    site: Drifting, case: Case, table: str, column: str
) -> None:
    before, letters = case.reports(), site.dead_letters().get("absent-column", 0)
    site.owner("crm", f"ALTER TABLE crm.{table} RENAME COLUMN {column} TO renamed")
    changed = {"customers": "full_name = 'Another'", "contracts": "number = 'Another'"}[table]
    with psycopg.connect(**dict[str, Any](site.system.postgres.conninfo("crm")), autocommit=True) as superuser:
        superuser.execute(f"UPDATE crm.{table} SET {changed} WHERE {table[:-1]}_id = %s".encode(), (case.prostheses[1],))
    said_and_not_fresh(site, f"crm.{table}.{column} does not exist", do="rename it back")
    until(lambda: site.dead_letters().get("absent-column", 0) == letters + 1, "the row is a dead letter")
    assert case.reports() == before
    site.owner("crm", f"ALTER TABLE crm.{table} RENAME COLUMN renamed TO {column}")
    mended(site, case)
    assert "Another" in {row["customer_name" if table == "customers" else "contract_number"] for row in case.reports()}


@pytest.mark.parametrize(
    ("clause", "what"),
    [("WHERE (prosthesis_id < 0)", "filters the rows"), ("(event_id, prosthesis_id)", "leaves out columns")],
    ids=["row filter", "column list"],
)
def test_a_publication_with_a_filter_is_named_and_what_it_kept_back_comes_by_a_repair(
    site: Drifting, case: Case, clause: str, what: str
) -> None:
    again = f"ALTER PUBLICATION bionicpro_telemetry DROP TABLE {EVENTS}; ALTER PUBLICATION bionicpro_telemetry ADD TABLE {EVENTS}"
    site.owner("telemetry", f"{again} {clause}")
    case.insert(case.prostheses[2], recorded_at=case.at(3, 6))
    said_and_not_fresh(site, what, do=f"DROP TABLE {EVENTS}")
    site.owner("telemetry", again)
    mended(site, case)


def test_a_missing_truncate_trigger_is_named_and_a_repair_takes_out_what_a_truncate_took(site: Drifting, case: Case) -> None:
    kept = f"CREATE TABLE telemetry.kept AS SELECT * FROM {EVENTS} WHERE prosthesis_id <> ALL (ARRAY{case.prostheses})"
    site.owner("telemetry", f"ALTER TABLE {EVENTS} DISABLE TRIGGER delete_before_truncate")
    assert "enable it" in site.wait_for_problem("no enabled BEFORE TRUNCATE trigger")
    site.owner("telemetry", f"{kept}; TRUNCATE {EVENTS}; INSERT INTO {EVENTS} SELECT * FROM telemetry.kept; DROP TABLE telemetry.kept")
    case.insert(case.prostheses[0], recorded_at=case.at(1))
    site.owner("telemetry", f"ALTER TABLE {EVENTS} ENABLE TRIGGER delete_before_truncate")
    mended(site, case)
    assert len(case.reports()) == 1


def test_a_table_that_was_made_a_partitioned_one_is_named_and_comes_back_with_its_rows(site: Drifting, case: Case) -> None:
    site.owner(
        "telemetry",
        f"""BEGIN;
        ALTER TABLE {EVENTS} RENAME TO telemetry_events_plain;
        CREATE TABLE {EVENTS} (LIKE telemetry.telemetry_events_plain INCLUDING DEFAULTS INCLUDING IDENTITY) PARTITION BY RANGE (received_at);
        CREATE TABLE telemetry.telemetry_events_all PARTITION OF {EVENTS} DEFAULT;
        GRANT SELECT, INSERT, UPDATE, DELETE ON {EVENTS} TO telemetry_ingest;
        SELECT setval(pg_get_serial_sequence('{EVENTS}', 'event_id'), (SELECT max(event_id) FROM telemetry.telemetry_events_plain) + 1);
        COMMIT""",
    )
    case.insert(case.prostheses[3], recorded_at=case.at(4, 6))
    said_and_not_fresh(site, f"{EVENTS} is a partitioned table", do="make it an ordinary table again")
    site.owner(
        "telemetry",
        f"""BEGIN;
        ALTER TABLE {EVENTS} RENAME TO telemetry_events_parts;
        ALTER TABLE telemetry.telemetry_events_plain RENAME TO telemetry_events;
        INSERT INTO {EVENTS} SELECT * FROM telemetry.telemetry_events_parts;
        SELECT setval(pg_get_serial_sequence('{EVENTS}', 'event_id'), (SELECT max(event_id) FROM {EVENTS}));
        DROP TABLE telemetry.telemetry_events_parts;
        COMMIT""",
    )
    mended(site, case)


def test_a_publication_that_was_away_for_a_while_is_named_and_a_snapshot_goes_past_what_cannot_be_read(site: Drifting, case: Case) -> None:
    """PostgreSQL reads changes with the catalogue of their time: those of a time without the publication stop the connector for good."""
    site.owner("telemetry", "ALTER PUBLICATION bionicpro_telemetry RENAME TO elsewhere")
    case.insert(case.prostheses[0], recorded_at=case.at(4, 9))
    assert "`bionicpro connectors resnapshot telemetry`" in site.wait_for_problem("publication bionicpro_telemetry does not exist")
    site.owner("telemetry", "ALTER PUBLICATION elsewhere RENAME TO bionicpro_telemetry")
    account = str(site.system.instance.env_file("connect"))
    assert site.operator("connectors", "resnapshot", "telemetry", "--yes", "--source-env", account).exit_code == 0
    mended(site, case)


def test_a_connector_that_could_not_log_in_runs_again_without_anybody(site: Drifting, case: Case) -> None:
    site.owner("postgres", "ALTER ROLE debezium NOLOGIN")
    assert site.operator("connectors", "restart", "telemetry", "--deadline", "10").exit_code == 1
    case.insert(case.prostheses[0], recorded_at=case.at(4, 10))
    site.wait_for_problem("connector telemetry is", "nobody reads slot bionicpro_telemetry")
    site.owner("postgres", "ALTER ROLE debezium LOGIN")
    site.wait_until_well()
    assert case.verify().ok


def test_a_server_restored_from_an_older_copy_is_named_and_a_rebuild_orders_its_changes_anew(site: Drifting, case: Case) -> None:
    """Its log starts lower: what is changed from then on has positions that the tables take for old ones."""
    data = postgres.data_directory(site.system.instance).resolve()
    copy = data.with_name("postgres-copy")
    site.stop_postgres()
    subprocess.run(["cp", "-a", str(data), str(copy)], check=True, timeout=120)
    site.start_postgres()
    case.reconnect()
    site.wait_until_well()
    site.owner("telemetry", "SELECT pg_switch_wal()")
    kept = [case.insert(prosthesis, recorded_at=case.at(2, 8)) for prosthesis in case.prostheses]
    before = site.position()
    until(lambda: site.position() > before, "the watch has seen it")
    site.stop_postgres()
    subprocess.run(["rm", "-rf", str(data)], check=True, timeout=120)
    copy.rename(data)
    site.start_postgres()
    case.reconnect()
    assert "`bionicpro rebuild --source postgres`" in site.wait_for_problem("the server of telemetry went back")
    for name in ("crm", "telemetry"):
        assert site.operator("connectors", "resnapshot", name, "--yes").exit_code == 0
    assert site.operator(*site.rebuild, "--source", "postgres").exit_code == 0
    site.wait_until_well()
    assert case.verify().ok
    changed = case.insert(case.prostheses[0], recorded_at=case.at(3, 8))
    case.telemetry.execute(f"UPDATE {EVENTS} SET active_ms = 7 WHERE event_id = %s", (changed,))
    assert changed <= max(kept), "an id is given again"
    assert case.verify().ok
