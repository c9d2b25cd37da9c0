"""Which rows the eraser deletes: nothing too much, and nothing that lets older rows come to light. One suite for a real ClickHouse and for the tables in memory that stand in for it."""

from __future__ import annotations

import itertools
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from clickhouse_driver import Client
from pydantic import SecretStr

from clickhouse.migrator import Migrator
from eraser.ports import KEYS_AT_ONCE, Remains, Tables
from eraser.removal import empty_rows, remains
from eraser.rules import Generation, State
from eraser.tables import ClickHouseTables
from schemas.erasure import subject_of
from schemas.erasure_rules import EPOCH, ErasureRule
from schemas.raw_telemetry import TelemetryColumns
from service_kit.settings import ClickHouseSettings
from stream_processor.ports import StateColumns, StoredOwnership
from tests.support.endpoints import ClickHouseEndpoint
from tests.support.memory_eraser import DATABASE, MemoryTables, day_of
from tests.support.memory_store import MemoryStore

DAY_US = 86_400_000_000
ME, OTHER = "user-me", "user-other"
COMMAND = 100
_numbers = itertools.count(30_000_000 + os.getpid() % 10_000 * 100)


def rule_of(days: tuple[int, int] = (10, 20), **changes: Any) -> ErasureRule:
    """Days of 1970 on prosthesis 7 are erased, by the command at offset COMMAND."""
    interval = (days[0] * DAY_US, days[1] * DAY_US)
    given: dict[str, Any] = {"customer_gone": False, "topic_id": "log"} | changes
    return ErasureRule("7", "e", subject_of(ME), (interval,), 0, 1, reason="test", partition=0, offset=COMMAND, **given)


class Case(ABC):
    """A generation of its own; the eraser's view of it, and the test's."""

    tables: Tables
    database: str

    def generation(self, state: State = State.SERVING, topic_id: str = "log") -> Generation:
        return Generation(self.database, state, topic_id, COMMAND)

    def remove(self, rule: ErasureRule, generation: Generation | None = None, *, final: bool = False) -> None:
        """One round, as the eraser does it where all that is empty has stood for long enough; a second one finds nothing."""
        chosen = generation or self.generation()
        for found in self._found(rule, chosen, final=final):
            self.tables.delete(self.database, found, 60)
        assert [found for found in self._found(rule, chosen, final=final) if self.tables.count(self.database, found)] == []

    def _found(self, rule: ErasureRule, generation: Generation, *, final: bool) -> Iterator[Remains]:
        yield from remains(self.tables, rule, generation, final=final)
        if final:
            yield from empty_rows(self.tables, rule, generation)

    def event(self, number: int, day: int, lsn: int = 1, prosthesis: str = "7") -> None:
        self.many_events([number], day, lsn, prosthesis)

    @abstractmethod
    def many_events(self, numbers: Sequence[int], day: int, lsn: int = 1, prosthesis: str = "7") -> None: ...

    @abstractmethod
    def report(self, user: str, day: int, version: int, *, deleted: bool = False, prosthesis: str = "7") -> None:
        """A report's row and its state."""

    @abstractmethod
    def document(self, crm_offset: int, text: str, prosthesis: str = "7") -> None: ...

    @abstractmethod
    def events(self) -> list[tuple[Any, ...]]:
        """(prosthesis, id, day, LSN), all versions."""

    @abstractmethod
    def reports(self) -> list[tuple[Any, ...]]:
        """(user, day, version, deleted), all versions."""

    @abstractmethod
    def states(self) -> list[tuple[Any, ...]]:
        """(user, day, next offset), all versions."""

    @abstractmethod
    def documents(self) -> list[int]: ...

    @abstractmethod
    def hand_over(self) -> None:
        """Other tables serve."""


class MemoryCase(Case):
    tables: MemoryTables

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.tables = MemoryTables(self.store, lambda: datetime.now(UTC))
        self.database = DATABASE

    def many_events(self, numbers: Sequence[int], day: int, lsn: int = 1, prosthesis: str = "7") -> None:
        columns = TelemetryColumns.blank(len(numbers))
        columns.event_id_lo[:], columns.recorded_us[:], columns.lsn[:], columns.offset[:] = numbers, day * DAY_US, lsn, lsn
        self.store.write_telemetry(np.array([prosthesis] * len(numbers), dtype=object), columns)

    def report(self, user: str, day: int, version: int, *, deleted: bool = False, prosthesis: str = "7") -> None:
        row = {"user_id": user, "report_date": _date(day), "prosthesis_id": prosthesis, "version": version, "is_deleted": deleted}
        self.store.write_reports({name: [value] for name, value in row.items()})
        self.store.write_states(StateColumns([day], [prosthesis], [user], [version], [b""], [{}], [0]))

    def document(self, crm_offset: int, text: str, prosthesis: str = "7") -> None:
        whole = json.loads(text) | {"prosthesis_id": prosthesis, "crm_offset": crm_offset, "model": "", "serial_number": ""}
        rest = {"customer_id": "", "customer_name": "", "timezone": "", "contract_id": "", "contract_number": ""}
        whole["intervals"] = [{"starts_us": 0, "ends_us": None} | rest | interval for interval in whole["intervals"]]
        self.store.write_ownership([StoredOwnership(prosthesis, crm_offset, 0, 0, json.dumps(whole).encode())])

    def events(self) -> list[tuple[Any, ...]]:
        rows = (item for part in self.store.raw_parts for item in part.items())
        return sorted((key[0], key[2], row["recorded_us"] // DAY_US, row["lsn"]) for key, row in rows)

    def reports(self) -> list[tuple[Any, ...]]:
        rows = self.store.report_rows.items()
        return sorted((user, day_of(on), version, int(row["is_deleted"])) for (user, on, _, version), row in rows)

    def states(self) -> list[tuple[Any, ...]]:
        return sorted((user, day, folded_to + 1) for day, _, user, folded_to in self.store.state_rows)

    def documents(self) -> list[int]:
        return sorted(offset for _, offset in self.store.document_rows)

    def hand_over(self) -> None:
        self.tables.handed_over_at = self.tables.now()


class ClickHouseCase(Case):
    def __init__(self, migrator: Client, tables: Tables, database: str) -> None:
        self.migrator = migrator
        self.tables = tables
        self.database = database

    def many_events(self, numbers: Sequence[int], day: int, lsn: int = 1, prosthesis: str = "7") -> None:
        rows = [(prosthesis, number, EPOCH + timedelta(days=day), lsn, lsn) for number in numbers]
        self.migrator.execute(
            f"INSERT INTO {self.database}.telemetry_events (prosthesis_id, event_id_lo, recorded_at, lsn, log_offset) VALUES", rows
        )

    def report(self, user: str, day: int, version: int, *, deleted: bool = False, prosthesis: str = "7") -> None:
        on = _date(day)
        columns = "user_id, report_date, prosthesis_id, version, is_deleted"
        self.migrator.execute(
            f"INSERT INTO {self.database}.user_daily_reports ({columns}) VALUES", [(user, on, prosthesis, version, int(deleted))]
        )
        columns = "user_id, report_date, prosthesis_id, next_offset"
        self.migrator.execute(f"INSERT INTO {self.database}.report_state ({columns}) VALUES", [(user, on, prosthesis, version + 1)])

    def document(self, crm_offset: int, text: str, prosthesis: str = "7") -> None:
        self.migrator.execute(
            f"INSERT INTO {self.database}.ownership (prosthesis_id, crm_offset, document) VALUES", [(prosthesis, crm_offset, text)]
        )

    def events(self) -> list[tuple[Any, ...]]:
        query = f"SELECT prosthesis_id, event_id_lo, intDiv(toUnixTimestamp(recorded_at), 86400), lsn FROM {self.database}.telemetry_events ORDER BY ALL"
        return [tuple(row) for row in self.migrator.execute(query)]

    def reports(self) -> list[tuple[Any, ...]]:
        query = f"SELECT user_id, toInt32(report_date), version, is_deleted FROM {self.database}.user_daily_reports ORDER BY ALL"
        return [tuple(row) for row in self.migrator.execute(query)]

    def states(self) -> list[tuple[Any, ...]]:
        query = f"SELECT user_id, toInt32(report_date), next_offset FROM {self.database}.report_state ORDER BY ALL"
        return [tuple(row) for row in self.migrator.execute(query)]

    def documents(self) -> list[int]:
        return [row[0] for row in self.migrator.execute(f"SELECT crm_offset FROM {self.database}.ownership ORDER BY ALL")]

    def hand_over(self) -> None:
        number = int(self.database.removeprefix("bionicpro_g"))
        for state in ("building", "retired"):
            self.migrator.execute("INSERT INTO bionicpro.generations (generation, state) VALUES", [(number, state)])


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


@pytest.fixture(params=["memory", "clickhouse"])
def world(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "memory":
        yield MemoryCase()
        return
    clickhouse: ClickHouseEndpoint = request.getfixturevalue("clickhouse")
    account, number = clickhouse.accounts["migrator"], next(_numbers)
    migrator = Migrator(
        ClickHouseSettings(host=clickhouse.host, port=clickhouse.port, user=account.user, password=SecretStr(account.password))
    )
    migrator.migrate()
    migrator.create_generation(number)
    migrator.close()
    database = f"bionicpro_g{number}"
    with Client(**clickhouse.client("migrator")) as client, Client(**clickhouse.client("eraser"), database="bionicpro") as eraser:
        yield ClickHouseCase(client, ClickHouseTables(eraser, "bionicpro"), database)
        client.execute(f"DROP DATABASE {database} SYNC")
        client.execute("INSERT INTO bionicpro.generations (generation, state) VALUES", [(number, "retired")])


def test_events_of_the_time_go_whatever_their_version_and_all_others_stay(world: Case) -> None:
    for day in (9, 10, 19, 20):
        world.event(day, day)
    world.event(15, 15, prosthesis="8")
    world.remove(rule_of())
    assert world.events() == [("7", 9, 9, 1), ("7", 20, 20, 1), ("8", 15, 15, 1)]


def test_an_event_that_had_moved_there_leaves_no_former_version_to_come_to_light(world: Case) -> None:
    world.event(1, 30, lsn=1)
    world.event(1, 15, lsn=2)
    world.event(2, 15, lsn=1)
    world.event(2, 30, lsn=2)
    world.remove(rule_of(), final=True)
    assert world.events() == [("7", 2, 30, 2)]


def test_an_event_that_had_moved_there_hides_its_former_version_until_nobody_can_write_that_any_more(world: Case) -> None:
    world.event(1, 30, lsn=1)
    world.event(1, 15, lsn=2)
    world.event(1, 14, lsn=3)
    world.remove(rule_of())
    assert ("7", 1, 14, 3) in world.events()
    world.event(1, 30, lsn=1)
    world.remove(rule_of(), final=True)
    assert world.events() == []


def test_however_many_had_moved_there_none_comes_to_light(world: Case) -> None:
    """More than one removal names."""
    numbers = range(KEYS_AT_ONCE + 300)
    world.many_events(numbers, 30, lsn=1)
    world.many_events(numbers, 15, lsn=2)
    for final in (False, True, True):
        for found in remains(world.tables, rule_of(), world.generation(), final=final):
            world.tables.delete(world.database, found, 60)
        left = world.events()
        assert {number for _, number, day, _ in left if day == 30} <= {number for _, number, day, _ in left if day == 15}
    assert left == []


def test_an_event_that_moves_out_again_meanwhile_keeps_its_newest_version(world: Case) -> None:
    world.event(1, 30, lsn=1)
    world.event(1, 15, lsn=2)
    removals = list(remains(world.tables, rule_of(), world.generation(), final=True))
    world.event(1, 31, lsn=3)
    for found in removals:
        world.tables.delete(world.database, found, 60)
    assert world.events() == [("7", 1, 31, 3)]


def test_reports_from_before_the_command_go_and_those_made_under_the_rule_stay(world: Case) -> None:
    for day, version in ((25, 50), (25, 99), (25, 100), (26, 99), (26, 120)):
        world.report(ME, day, version)
    world.report(OTHER, 15, 50)
    world.report(ME, 15, 50, prosthesis="8")
    world.remove(rule_of())
    assert world.reports() == [(ME, 15, 50, 0), (ME, 25, 100, 0), (ME, 26, 120, 0), (OTHER, 15, 50, 0)]
    assert world.states() == [(ME, 15, 51), (ME, 25, 101), (ME, 26, 121), (OTHER, 15, 51)]


def test_a_tombstone_hides_what_a_zombie_may_write_until_the_last_look(world: Case) -> None:
    world.report(ME, 12, 60)
    world.report(ME, 12, 100, deleted=True)
    world.remove(rule_of())
    assert world.reports() == [(ME, 12, 100, 1)]
    world.report(ME, 12, 70)
    world.remove(rule_of(), final=True)
    assert (world.reports(), world.states()) == ([], [])


def test_a_tombstone_of_an_earlier_erasure_hides_it_too(world: Case) -> None:
    """The second command finds an empty report, and nothing that it would write anew."""
    world.report(ME, 12, 60)
    world.report(ME, 12, 80, deleted=True)
    world.remove(rule_of())
    assert (world.reports(), world.states()) == ([(ME, 12, 80, 1)], [(ME, 12, 81)])
    world.report(ME, 12, 70)
    world.remove(rule_of())
    assert (world.reports(), world.states()) == ([(ME, 12, 80, 1)], [(ME, 12, 81)])
    world.remove(rule_of(), final=True)
    assert (world.reports(), world.states()) == ([], [])


def test_a_day_that_may_still_get_events_keeps_its_empty_report_where_the_customer_stays(world: Case) -> None:
    world.report(ME, 19, 100, deleted=True)
    world.report(ME, 17, 100, deleted=True)
    world.remove(rule_of(), final=True)
    assert world.reports() == [(ME, 19, 100, 1)]
    world.remove(rule_of(customer_gone=True), final=True)
    assert (world.reports(), world.states()) == ([], [])


def test_of_a_customer_who_stays_what_was_empty_before_the_rule_goes_whatever_its_day(world: Case) -> None:
    world.report(ME, 19, 80, deleted=True)
    world.report(ME, 30, 99, deleted=True)
    world.report(ME, 31, 100, deleted=True)
    world.remove(rule_of())
    assert [row[1:3] for row in world.reports()] == [(19, 80), (30, 99), (31, 100)]
    world.remove(rule_of(), final=True)
    assert (world.reports(), world.states()) == ([(ME, 31, 100, 1)], [(ME, 31, 101)])


def test_a_tombstone_from_before_the_rule_goes_where_a_newer_one_hides_the_same(world: Case) -> None:
    world.report(ME, 19, 80, deleted=True)
    world.report(ME, 19, 100, deleted=True)
    world.remove(rule_of())
    assert (world.reports(), world.states()) == ([(ME, 19, 100, 1)], [(ME, 19, 101)])


def test_a_row_below_a_tombstone_is_never_left_without_it(world: Case) -> None:
    """A live row of the rule's own time, deleted at the source later: the tombstone alone must not go."""
    world.report(ME, 12, 110)
    world.report(ME, 12, 130, deleted=True)
    world.remove(rule_of(), final=True)
    assert (world.reports(), world.states()) == ([], [])


def test_superseded_documents_that_name_the_user_go_and_the_one_in_force_stays(world: Case) -> None:
    named = f'{{"intervals":[{{"user_id":"{ME}"}}]}}'
    for offset in (1, 2):
        world.document(offset, named)
    world.document(3, '{"intervals":[]}')
    world.document(4, named)
    world.remove(rule_of())
    assert world.documents() == [3, 4]


def test_tables_that_nobody_works_on_lose_every_document_and_row_of_who_is_gone(world: Case) -> None:
    world.document(4, f'{{"intervals":[{{"user_id":"{ME}"}}]}}')
    world.report(ME, 12, 1_000)
    world.remove(rule_of(customer_gone=True), world.generation(State.RETIRED, "an older log"))
    assert (world.documents(), world.reports(), world.states()) == ([], [], [])


def test_what_is_left_of_a_former_user_id_goes_with_the_prosthesis_and_what_is_another_customers_by_now_stays(world: Case) -> None:
    rule = rule_of(customer_gone=True, former_subjects=(subject_of(OTHER),))
    for user in (ME, OTHER):
        world.report(user, 12, 60, deleted=True)
        world.report(user, 12, 60, deleted=True, prosthesis="8")
        world.document(1, f'{{"intervals":[{{"user_id":"{user}"}}]}}')
    world.document(2, '{"intervals":[]}')
    world.remove(rule, final=True)
    assert world.reports() == [(OTHER, 12, 60, 1)]
    assert world.documents() == [2]


def test_versions_of_another_log_are_not_taken_for_older_ones(world: Case) -> None:
    world.report(ME, 25, 3)
    world.remove(rule_of(), world.generation(topic_id="a newer log"))
    assert world.reports() == [(ME, 25, 3, 0)]


def test_when_other_tables_were_served_last_is_told_by_the_clock_of_the_receipts(world: Case) -> None:
    before = world.tables.now()
    assert world.tables.changed_at() < before
    world.hand_over()
    assert before <= world.tables.changed_at() <= world.tables.now()
