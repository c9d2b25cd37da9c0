"""Sources that change under a running system: what `status` says of each drift, that reports are not called fresh meanwhile, and that its way back ends equal.

The drifts are real ones, made by the owner of a source of a pipe of its own. Nobody tells the repair which rows came in the gap.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

import psycopg
import pytest

from local import supervision
from local.servers import postgres
from tests.support.expendable import Site
from tests.support.operator import Operator, problem_lines
from tests.support.processor import REPOSITORY, until
from tests.support.processor_case import Case, equal_case
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

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
        return problem_lines(self._watched("status", *WATCHED).output)

    def close(self) -> None:
        self._watch.terminate()
        assert self._watch.wait(timeout=PATIENCE_S) == 0
        super().close()

    def all_problems(self) -> list[str]:
        """Those of dead letters among them, which other tests leave behind."""
        return problem_lines(self._watched("status", *WATCHED[:-2]).output)

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
        self.system.backend.stop("postgres")

    def start_postgres(self) -> None:
        self.system.backend.start("postgres")
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
    """Four prostheses with owners and an event a day, all of it equal, and one that nobody has yet."""
    with equal_case(site.system, number=1, prostheses=5, base=BASE_ID, first=date(2006, 3, 1), unowned=1) as found:
        yield found


def said(site: Drifting, drifts: Mapping[str, str]) -> None:
    """`status` names each of the *drifts*, with what to do about it."""
    lines: list[str] = []

    def line_of(what: str) -> str:
        return next((line for line in lines if what in line), "")

    def all_named() -> bool:
        lines[:] = site.problems()
        return all(map(line_of, drifts))

    until(all_named, lambda: f"status names {list(drifts)}; it says {lines}")
    assert {what: do in line_of(what) for what, do in drifts.items()} == dict.fromkeys(drifts, True), lines


def not_fresh(site: Drifting) -> None:
    """What readers are told of freshness stands still, though heartbeats arrive."""
    before = site.fresh_until()
    newest = f"SELECT max(as_of) FROM bionicpro_g{site.serving()}.partition_progress FINAL WHERE topic = 'prosthesis.log'"
    until(lambda: site.auditor.execute(newest)[0][0] > before, "heartbeats arrive")
    assert site.fresh_until() == before


def mended(site: Drifting, case: Case) -> None:
    assert not case.verify().ok, "nothing was missing"
    assert site.repaired(case)["verification"]["ok"]
    assert case.verify().ok
    site.wait_until_well()


def test_columns_identity_and_trigger_that_drift_are_named_and_a_repair_brings_what_came_meanwhile(site: Drifting, case: Case) -> None:
    """No report is cut anew for a column that is away; a delete without its ids is a dead letter; a TRUNCATE without its trigger is found by the repair, and
    so is a contract of the gap that no report needs yet."""
    renamed = {"crm.customers": "timezone", "crm.contracts": "customer_id", EVENTS: "battery_percent"}
    deleted, kept, new = case.insert(case.prostheses[0], recorded_at=case.at(3, 5)), case.prostheses[1], case.prostheses[-1]
    assert case.verify().ok
    before, letters = case.reports(), Counter(site.dead_letters())

    def letters_come(**wanted: int) -> None:
        came = Counter({name.replace("_", "-"): count for name, count in wanted.items()})
        until(lambda: Counter(site.dead_letters()) - letters == came, lambda: f"dead letters: {site.dead_letters()}, before: {letters}")

    site.owner("telemetry", f"ALTER TABLE {EVENTS} REPLICA IDENTITY DEFAULT, DISABLE TRIGGER delete_before_truncate")
    case.telemetry.execute(f"DELETE FROM {EVENTS} WHERE event_id = %s", (deleted,))
    letters_come(without_identity=1)
    for table, column in renamed.items():
        site.owner(table.partition(".")[0], f"ALTER TABLE {table} RENAME COLUMN {column} TO renamed")
    case.insert(case.prostheses[2], recorded_at=case.at(2, 9), kind="battery")
    site.owner("crm", f"UPDATE crm.customers SET full_name = 'Another' WHERE customer_id = {kept}")
    site.owner("crm", f"UPDATE crm.contracts SET number = 'Another' WHERE contract_id = {kept}")
    site.owner(
        "crm",
        f"""INSERT INTO crm.customers (customer_id, user_id, full_name, email, renamed) VALUES ({new}, '{case.user_id(new)}', 'P', 'p@example.org', 'UTC');
        INSERT INTO crm.contracts (contract_id, number, renamed, prosthesis_id, starts_at) VALUES ({new}, 'K', {new}, {new}, '2002-01-01')""",
    )
    said(
        site,
        {
            "has not REPLICA IDENTITY FULL": "REPLICA IDENTITY FULL`, then `bionicpro repair`",
            "no enabled BEFORE TRUNCATE trigger": "enable it",
            **{f"{table}.{column} does not exist": "rename it back" for table, column in renamed.items()},
        },
    )
    not_fresh(site)
    letters_come(without_identity=1, absent_column=5)
    assert "then run `bionicpro repair`" in next(line for line in site.all_problems() if "did not say all that they are about" in line)
    assert case.reports() == before
    others = f"CREATE TEMP TABLE kept AS SELECT * FROM {EVENTS} WHERE prosthesis_id <> ALL (ARRAY{case.prostheses})"
    site.owner("telemetry", f"{others}; TRUNCATE {EVENTS}; INSERT INTO {EVENTS} SELECT * FROM kept")
    for table, column in renamed.items():
        site.owner(table.partition(".")[0], f"ALTER TABLE {table} RENAME COLUMN renamed TO {column}")
    site.owner("telemetry", f"ALTER TABLE {EVENTS} REPLICA IDENTITY FULL, ENABLE TRIGGER delete_before_truncate")
    case.insert(kept, recorded_at=case.at(1))
    mended(site, case)
    assert [(row["customer_name"], row["contract_number"]) for row in case.reports()] == [("Another", "Another")]
    case.insert(new, recorded_at=case.at(2))
    assert case.verify().ok
    assert {row["prosthesis_id"] for row in case.reports()} == {str(kept), str(new)}


def test_a_table_that_is_swapped_filtered_and_partitioned_is_named_each_time_and_its_rows_come_by_one_repair(
    site: Drifting, case: Case
) -> None:
    sequence = f"SELECT setval(pg_get_serial_sequence('{EVENTS}', 'event_id'), (SELECT max(event_id) + 100 FROM {{}}))"
    site.owner(
        "telemetry",
        f"""BEGIN;
        ALTER TABLE {EVENTS} RENAME TO telemetry_events_old;
        CREATE TABLE {EVENTS} (LIKE telemetry.telemetry_events_old INCLUDING ALL);
        INSERT INTO {EVENTS} SELECT * FROM telemetry.telemetry_events_old;
        {sequence.format(EVENTS)};
        GRANT SELECT, INSERT, UPDATE, DELETE ON {EVENTS} TO telemetry_ingest;
        COMMIT""",
    )
    for prosthesis in case.prostheses:
        case.insert(prosthesis, recorded_at=case.at(2, 5))
    said(site, {f"{EVENTS} is not in publication": f"ADD TABLE {EVENTS}"})
    not_fresh(site)
    filtered = "(event_id, prosthesis_id) WHERE (prosthesis_id > 0)"
    site.owner(
        "telemetry",
        RIGHTS + f"DROP TABLE telemetry.telemetry_events_old; ALTER PUBLICATION bionicpro_telemetry ADD TABLE {EVENTS} {filtered}",
    )
    letters = site.dead_letters().get("absent-column", 0)
    case.insert(case.prostheses[2], recorded_at=case.at(3, 6))
    case.insert(-1, recorded_at=case.at(3, 6))
    said(site, {"filters the rows": f"DROP TABLE {EVENTS}", "leaves out columns": f"DROP TABLE {EVENTS}"})
    not_fresh(site)
    until(lambda: site.dead_letters().get("absent-column", 0) == letters + 1, "the row that passes the filter is a dead letter")
    site.owner(
        "telemetry",
        f"""BEGIN;
        ALTER PUBLICATION bionicpro_telemetry DROP TABLE {EVENTS};
        ALTER PUBLICATION bionicpro_telemetry ADD TABLE {EVENTS};
        ALTER TABLE {EVENTS} RENAME TO telemetry_events_plain;
        CREATE TABLE {EVENTS} (LIKE telemetry.telemetry_events_plain INCLUDING DEFAULTS INCLUDING IDENTITY) PARTITION BY RANGE (received_at);
        CREATE TABLE telemetry.telemetry_events_all PARTITION OF {EVENTS} DEFAULT;
        GRANT SELECT, INSERT, UPDATE, DELETE ON {EVENTS} TO telemetry_ingest;
        {sequence.format("telemetry.telemetry_events_plain")};
        COMMIT""",
    )
    case.insert(case.prostheses[3], recorded_at=case.at(4, 6))
    said(site, {f"{EVENTS} is a partitioned table": "make it an ordinary table again"})
    not_fresh(site)
    site.owner(
        "telemetry",
        f"""BEGIN;
        ALTER TABLE {EVENTS} RENAME TO telemetry_events_parts;
        ALTER TABLE telemetry.telemetry_events_plain RENAME TO telemetry_events;
        INSERT INTO {EVENTS} SELECT * FROM telemetry.telemetry_events_parts;
        {sequence.format(EVENTS)};
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
    assert site.repaired(case)["verification"]["ok"]
    assert case.verify().ok
    site.wait_until_well()


def test_a_type_that_was_another_for_a_while_is_named_and_a_snapshot_goes_past_what_cannot_be_read(site: Drifting, case: Case) -> None:
    """Found by seed 56 of `make chaos`: Debezium begins with the types that the columns have now, and fails at a value of another one, however often it is started again."""
    prosthesis, column = case.prostheses[0], f"ALTER TABLE {EVENTS} ALTER COLUMN battery_percent TYPE"
    supervision.stop_programs(site.system.instance, ["connect"])
    for type_ in ("numeric(5,2)", "smallint"):
        site.owner("telemetry", f"{column} {type_}")
        case.insert(prosthesis, recorded_at=case.at(4, 11), kind="battery", battery_percent=63)
    supervision.start_programs(site.system.instance, ["connect"])
    assert "`bionicpro connectors resnapshot telemetry`" in site.wait_for_problem("its tasks are FAILED")
    applied = site.operator("connectors", "apply")
    assert applied.exit_code != 0
    assert "`bionicpro connectors resnapshot telemetry`" in applied.output, "it helps nothing here, and says what does"
    account = str(site.system.instance.env_file("connect"))
    assert site.operator("connectors", "resnapshot", "telemetry", "--yes", "--source-env", account).exit_code == 0
    assert site.repaired(case)["verification"]["ok"]
    assert case.verify().ok
    site.wait_until_well()


def test_a_connector_that_could_not_log_in_runs_again_without_anybody(site: Drifting, case: Case) -> None:
    site.owner("postgres", "ALTER ROLE debezium NOLOGIN")
    assert site.operator("connectors", "restart", "telemetry", "--deadline", "4").exit_code == 1
    case.insert(case.prostheses[0], recorded_at=case.at(4, 10))
    site.wait_for_problem("connector telemetry is", "nobody reads slot bionicpro_telemetry")
    site.owner("postgres", "ALTER ROLE debezium LOGIN")
    site.wait_until_well()
    assert case.verify().ok


def test_a_server_restored_from_an_older_copy_is_named_and_a_rebuild_orders_its_changes_anew(site: Drifting, case: Case) -> None:
    """Its log starts lower: what is changed from then on has positions that the tables take for old ones."""
    site.stop_postgres()
    site.system.backend.save("postgres")
    site.start_postgres()
    case.reconnect()
    site.wait_until_well()
    site.owner("telemetry", "SELECT pg_switch_wal()")
    kept = [case.insert(prosthesis, recorded_at=case.at(2, 8)) for prosthesis in case.prostheses]
    before = site.position()
    until(lambda: site.position() > before, "the watch has seen it")
    site.stop_postgres()
    site.system.backend.restore("postgres")
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
