"""One suite for both report stores: the one in memory may stand in for ClickHouse only because it passes what ClickHouse passes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException
from pydantic import SecretStr

from clickhouse.migrator import Migrator
from schemas.erasure_rules import ErasureRule
from schemas.partition_progress import PartitionProgress
from schemas.raw_telemetry import Ints, TelemetryColumns
from service_kit.settings import ClickHouseSettings
from stream_processor import ports
from stream_processor.adapters.clickhouse import ClickHouseStore
from stream_processor.domain.duplicates import KnownEvent
from stream_processor.domain.fold import FOLD_FORMAT
from stream_processor.ports import ReportStore, StateColumns, StoredOwnership, StoredState, StoreUnavailable
from tests.support.endpoints import ClickHouseEndpoint
from tests.support.memory_store import MemoryStore

DAY_US = 86_400_000_000
NOW_US = 20_780 * DAY_US + 123_456
_names = itertools.count()


def settings_of(clickhouse: ClickHouseEndpoint, user: str, database: str) -> ClickHouseSettings:
    account = clickhouse.accounts[user]
    return ClickHouseSettings(
        host=clickhouse.host, port=clickhouse.port, database=database, user=user, password=SecretStr(account.password)
    )


Reports = dict[tuple[str, date, str], tuple[int, int]]
"""What readers see: event count and version by key."""


@dataclass(frozen=True)
class Kept:
    """A store and what the suite needs beside its interface: *reports* reads the mart as readers do, *merge* lets replaced rows of raw go."""

    store: ReportStore
    reports: Callable[[], Reports]
    merge: Callable[[], None]


@pytest.fixture
def store(kept: Kept) -> ReportStore:
    return kept.store


def in_memory() -> Kept:
    store = MemoryStore()

    def reports() -> Reports:
        return {key: (row["event_count"], row["version"]) for key, row in store.reports.items() if not row["is_deleted"]}

    return Kept(store, reports, store.merge)


@pytest.fixture(params=["memory", "clickhouse"])
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    if request.param == "memory":
        yield in_memory()
        return
    clickhouse: ClickHouseEndpoint = request.getfixturevalue("clickhouse")
    # The writer's grant covers generations of `bionicpro`; each test takes a generation number of its own.
    generation = 1000 + os.getpid() % 10_000 * 100 + next(_names)
    migrator = Migrator(settings_of(clickhouse, "migrator", "bionicpro"))
    migrator.migrate()
    migrator.create_generation(generation)
    database = f"bionicpro_g{generation}"
    real = ClickHouseStore(settings_of(clickhouse, "writer", database))
    with Client(**clickhouse.client("migrator")) as client:
        # A merge in the background would decide by chance what reads without FINAL see; parts are too large for one from the first byte on.
        client.execute(f"ALTER TABLE {database}.telemetry_events MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1")

        def reports() -> Reports:
            rows = client.execute(
                f"SELECT user_id, report_date, prosthesis_id, event_count, version FROM {database}.user_daily_reports FINAL"
            )
            return {(user, day, prosthesis): (events, version) for user, day, prosthesis, events, version in rows}

        def merge() -> None:
            client.execute(f"ALTER TABLE {database}.telemetry_events RESET SETTING max_bytes_to_merge_at_max_space_in_pool")
            client.execute(f"OPTIMIZE TABLE {database}.telemetry_events FINAL")

        yield Kept(real, reports, merge)
        real.close()
        migrator.close()
        client.execute(f"DROP DATABASE bionicpro_g{generation} SYNC")
        client.execute("ALTER TABLE bionicpro.erasure_rules DELETE WHERE startsWith(prosthesis_id, 'rule-') SETTINGS mutations_sync = 1")
        client.execute("INSERT INTO bionicpro.generations (generation, state) VALUES", [(generation, "retired")])


def texts(*prostheses: str) -> Ints:
    return np.array(prostheses, dtype=object)


def columns_of(*states: StoredState) -> StateColumns:
    names = ("day", "prosthesis_id", "user_id", "folded_to", "fold", "errors_by_code", "partition")
    return StateColumns(**{name: [getattr(state, name) for state in states] for name in names})


def events(*rows: dict[str, Any]) -> TelemetryColumns:
    columns = TelemetryColumns.blank(len(rows))
    columns.recorded_us[:] = NOW_US
    for i, row in enumerate(rows):
        for name, value in row.items():
            getattr(columns, name)[i] = value
    return columns


def test_events_come_back_as_they_were_written(store: ReportStore) -> None:
    full = {
        "event_id_hi": 2**64 - 1, "event_id_lo": 2**63 + 5, "facets": 15, "amplitude_uv": 1_000_000, "recognised": 1, "active_ms": 3_600_000,
        "battery_bp": 10_000, "error_code": "E-1", "error_severity": 3, "lat_cell": -900, "lon_cell": -1800, "lsn": 2**63, "partition": 23, "offset": 2**40,
    }  # fmt: skip
    store.write_telemetry(texts("7"), events(full))
    ((ids, back),) = store.telemetry(["7", "8"], NOW_US, NOW_US + 1)
    assert ids == ["7"]
    assert {name: getattr(back, name)[0] for name in full} == full
    assert back.recorded_us.tolist() == [NOW_US]


def test_the_greatest_lsn_wins_and_the_later_write_on_a_tie(store: ReportStore) -> None:
    store.write_telemetry(texts("7"), events({"event_id_lo": 1, "lsn": 20, "offset": 2}))
    store.write_telemetry(texts("7"), events({"event_id_lo": 1, "lsn": 10, "offset": 9}))
    assert store.known_events([("7", 0, 1)]) == {("7", 0, 1): KnownEvent(20, 2, NOW_US, deleted=False)}
    store.write_telemetry(texts("7"), events({"event_id_lo": 1, "lsn": 20, "offset": 5}))
    assert store.known_events([("7", 0, 1)])["7", 0, 1].offset == 5


def test_the_times_that_an_event_was_found_under_before_stay_with_its_row(store: ReportStore) -> None:
    store.write_telemetry(
        texts("7", "7"), events({"event_id_lo": 1, "lsn": 1}, {"event_id_lo": 2, "lsn": 1}), [(NOW_US - 5, NOW_US - 9), ()]
    )
    store.write_telemetry(texts("7"), events({"event_id_lo": 3, "lsn": 1}))
    known = store.known_events([("7", 0, 1), ("7", 0, 2), ("7", 0, 3)])
    assert [known["7", 0, i].former for i in (1, 2, 3)] == [(NOW_US - 5, NOW_US - 9), (), ()]
    assert known["7", 0, 1].recorded_us == known["7", 0, 3].recorded_us


def test_a_deleted_event_stays_known_but_is_not_read(store: ReportStore) -> None:
    store.write_telemetry(texts("7", "7"), events({"event_id_lo": 1, "lsn": 1}, {"event_id_lo": 9, "lsn": 2, "deleted": 1}))
    ((ids, back),) = store.telemetry(["7"], 0, 2 * NOW_US)
    assert (ids, back.event_id_lo.tolist()) == (["7"], [1])
    assert store.known_events([("7", 0, 9), ("7", 0, 10)]).keys() == {("7", 0, 9)}
    assert store.highest_event_ids(["7", "8"]) == {"7": 9}
    assert store.days_with_telemetry(["7", "8"]) == {"7": {20_780: 2}}


def test_the_time_range_is_half_open(store: ReportStore) -> None:
    store.write_telemetry(texts("7", "7"), events({"event_id_lo": 1}, {"event_id_lo": 2, "recorded_us": NOW_US + 1}))
    assert [back.event_id_lo.tolist() for _, back in store.telemetry(["7"], NOW_US, NOW_US + 1)] == [[1]]
    assert store.has_telemetry(["7"], NOW_US + 1, NOW_US + 2) == {("7", NOW_US // 900_000_000)}
    assert store.has_telemetry(["7"], NOW_US + 2, 2 * NOW_US) == set()


def test_a_state_is_kept_by_its_mark(store: ReportStore) -> None:
    new = StoredState(20_780, "7", "u", 9, FOLD_FORMAT, b"\x00\xffnew", {"E": 2}, 3)
    old = StoredState(20_780, "7", "u", 8, FOLD_FORMAT, b"old", {}, 3)
    announced = StoredState(20_780, "7", "v", -1, FOLD_FORMAT, b"", {}, 3)
    store.write_states(columns_of(new))
    store.write_states(columns_of(old, announced))
    assert sorted(store.states([(20_780, "7"), (20_781, "7"), (20_780, "8")]), key=lambda s: s.user_id) == [new, announced]


def test_many_pages_are_read_at_once(store: ReportStore) -> None:
    states = [StoredState(20_000 + i % 40, str(i), "u", i, FOLD_FORMAT, b"x", {}, 0) for i in range(6_000)]
    store.write_states(columns_of(*states))
    assert len(store.states([(state.day, state.prosthesis_id) for state in states])) == 6_000


def test_ownership_is_kept_by_the_crm_offset(store: ReportStore) -> None:
    store.write_ownership([StoredOwnership("7", 5, 1, 10, '{"name":"Ёлка"}'.encode())])
    store.write_ownership([StoredOwnership("7", 4, 1, 11, b"{}")])
    assert store.ownership(["7", "8"]) == [StoredOwnership("7", 5, 1, 10, '{"name":"Ёлка"}'.encode())]


def test_progress_never_goes_back(store: ReportStore) -> None:
    store.write_progress([PartitionProgress("t", 3, "id", 24, 9, 1_700_000_000_123)])
    store.write_progress([PartitionProgress("t", 3, "id", 24, 8, 1_800_000_000_000)])
    assert store.progress("t") == [PartitionProgress("t", 3, "id", 24, 9, 1_700_000_000_123)]
    assert store.progress("other") == []


def test_a_rule_is_kept_once_however_often_its_command_comes(store: ReportStore) -> None:
    rule = ErasureRule("rule-7", "e", "s", ((-5, 9), (NOW_US, NOW_US + 1)), NOW_US, 2, True, "why", "id", 3, 40, ("former",))
    store.write_erasures([rule])
    store.write_erasures([msgspec.structs.replace(rule, offset=41), msgspec.structs.replace(rule, prosthesis_id="rule-8", intervals=())])
    store.write_erasures([rule])
    mine = sorted((r for r in store.erasures() if r.prosthesis_id.startswith("rule-")), key=lambda r: r.prosthesis_id)
    assert mine == [msgspec.structs.replace(rule, offset=41), msgspec.structs.replace(rule, prosthesis_id="rule-8", intervals=())]


def test_nothing_asked_nothing_written(store: ReportStore) -> None:
    store.write_progress([])
    assert store.states([]) == []
    assert store.known_events([]) == {}
    assert list(store.telemetry([], 0, 1)) == []


def test_numpy_columns_of_a_large_batch_are_written(store: ReportStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "TELEMETRY_AT_ONCE", 5_000)
    batch = TelemetryColumns.blank(5_000)
    batch.event_id_lo[:] = np.arange(5_000)
    batch.recorded_us[:] = NOW_US
    store.write_telemetry(texts(*["7"] * 5_000), batch)
    assert [len(back) for _, back in store.telemetry(["7"], 0, 2 * NOW_US)] == [5_000]


def test_raw_is_read_in_parts_each_event_once(store: ReportStore) -> None:
    """In the order of all three parts of the key, whose halves are beyond what is signed."""
    many = [("7", 0, 2**63), ("7", 0, 2**64 - 1), ("7", 2**64 - 1, 0), ("7", 2**64 - 1, 1), ("70", 0, 0), ("70", 0, 5), ("8", 1, 0)]
    store.write_telemetry(texts(*(one[0] for one in many)), events(*({"event_id_hi": hi, "event_id_lo": lo} for _, hi, lo in many)))
    parts = list(store.telemetry(["8", "7", "70"], NOW_US, NOW_US + 1))
    assert [len(back) for _, back in parts] == [3, 3, 1]
    found = [one for ids, back in parts for one in zip(ids, back.event_id_hi.tolist(), back.event_id_lo.tolist(), strict=True)]
    assert found == many


def test_raw_is_read_on_from_after_any_event_whether_it_is_there_or_not(store: ReportStore) -> None:
    many = [("7", 0, 2**63), ("7", 0, 2**64 - 1), ("7", 2**64 - 1, 0), ("7", 2**64 - 1, 1), ("70", 0, 0), ("70", 0, 5), ("8", 1, 0)]
    store.write_telemetry(texts(*(one[0] for one in many)), events(*({"event_id_hi": hi, "event_id_lo": lo} for _, hi, lo in many)))
    for after in (*many, ("7", 0, 0), ("7", 1, 7), ("70", 0, 3), ("8", 0, 2**64 - 1), ("9", 0, 0)):
        parts = store.telemetry(["7", "70", "8"], NOW_US, NOW_US + 1, after)
        found = [one for ids, back in parts for one in zip(ids, back.event_id_hi.tolist(), back.event_id_lo.tolist(), strict=True)]
        assert found == [one for one in many if one > after]


def test_raw_is_read_from_beyond_an_offset_by_the_rows_that_count(store: ReportStore) -> None:
    """A row that was replaced is not seen, wherever it lay."""
    rows = [{"event_id_lo": i, "lsn": 1, "offset": 10 * i} for i in range(1, 6)]
    store.write_telemetry(texts(*["7"] * 5), events(*rows))
    store.write_telemetry(texts("7", "7"), events({"event_id_lo": 1, "lsn": 2, "offset": 60}, {"event_id_lo": 5, "lsn": 2, "offset": 15}))

    def beyond(offset: int, after: tuple[str, int, int] = ("", 0, 0)) -> list[int]:
        return [one for _, back in store.telemetry(["7"], NOW_US, NOW_US + 1, after, offset) for one in back.event_id_lo.tolist()]

    assert beyond(-1) == [1, 2, 3, 4, 5]
    assert beyond(15) == [1, 2, 3, 4]
    assert beyond(20) == [1, 3, 4]
    assert beyond(20, ("7", 0, 1)) == [3, 4]
    assert beyond(60) == []


def test_replaced_rows_of_raw_are_seen_by_what_looks_for_days_until_they_are_merged(kept: Kept) -> None:
    """Whoever asks where raw has anything may be told of too much, never of too little."""
    store = kept.store
    store.write_telemetry(texts("7"), events({"event_id_lo": 1, "lsn": 1}))
    store.write_telemetry(texts("7"), events({"event_id_lo": 1, "lsn": 2, "recorded_us": NOW_US + DAY_US}))
    store.write_telemetry(texts("7"), events({"event_id_lo": 1, "lsn": 3, "recorded_us": NOW_US + DAY_US, "deleted": 1}))
    assert store.days_with_telemetry(["7"]) == {"7": {20_780: 1, 20_781: 2}}
    assert store.has_telemetry(["7"], NOW_US, NOW_US + 1) == {("7", NOW_US // 900_000_000)}
    assert list(store.telemetry(["7"], 0, 2 * NOW_US)) == []
    kept.merge()
    assert store.days_with_telemetry(["7"]) == {"7": {20_781: 1}}
    assert store.has_telemetry(["7"], NOW_US, NOW_US + 1) == set()
    assert store.highest_event_ids(["7"]) == {"7": 1}
    assert store.known_events([("7", 0, 1)])["7", 0, 1].deleted


def test_raw_tells_of_whom_it_has_something_from_further_down_the_log(store: ReportStore) -> None:
    store.write_telemetry(
        texts("7", "7", "8"), events({"event_id_lo": 1, "offset": 3}, {"event_id_lo": 2, "offset": 2**40, "deleted": 1}, {"offset": 4})
    )
    store.write_telemetry(texts("7"), events({"event_id_lo": 1, "offset": 5}))
    assert store.from_ahead({"7": 2**40, "8": 4, "9": -1}) == set()
    assert store.from_ahead({"7": 2**40 - 1, "8": 3, "9": -1}) == {"7", "8"}
    assert store.from_ahead({"7": 2**40, "8": -1}) == {"8"}
    assert store.from_ahead({}) == set()


@pytest.mark.parametrize("kept", ["clickhouse"], indirect=True)
def test_what_was_handled_is_not_read_to_learn_what_is_from_ahead(kept: Kept) -> None:
    """A prosthesis has years of it, and a recompute asks every time."""
    assert isinstance(kept.store, ClickHouseStore)
    kept.store.write_telemetry(texts(*["7"] * 5_000), events(*({"event_id_lo": n, "offset": n} for n in range(5_000))))
    for handled, found in ((4_999, set[str]()), (4_998, {"7"})):
        assert kept.store.from_ahead({"7": handled}) == found
        assert kept.store._client.last_query.progress.rows <= 1_024, "at most a granule"


@pytest.mark.parametrize("kept", ["clickhouse"], indirect=True)
def test_a_table_from_before_gets_the_index_of_offsets_and_its_parts_when_asked(kept: Kept, clickhouse: ClickHouseEndpoint) -> None:
    """As docs/adr/0052-raw-from-ahead.md says."""
    assert isinstance(kept.store, ClickHouseStore)
    database = kept.store._client.connection.database
    migrator = Migrator(settings_of(clickhouse, "migrator", "bionicpro"))
    with Client(**clickhouse.client("migrator")) as client:
        client.execute(f"ALTER TABLE {database}.telemetry_events DROP INDEX by_offset")
        kept.store.write_telemetry(texts(*["7"] * 5_000), events(*({"event_id_lo": n, "offset": n} for n in range(5_000))))
        migrator.create_generation(int(database.removeprefix("bionicpro_g")))
        migrator.close()
        assert kept.store.from_ahead({"7": 4_999}) == set()
        assert kept.store._client.last_query.progress.rows == 5_000
        client.execute(f"ALTER TABLE {database}.telemetry_events MATERIALIZE INDEX by_offset SETTINGS mutations_sync = 1")
    assert kept.store.from_ahead({"7": 4_999}) == set()
    assert kept.store._client.last_query.progress.rows == 0


def test_of_two_rows_of_an_event_in_one_write_one_is_kept(kept: Kept) -> None:
    twice = events({"event_id_lo": 1, "lsn": 5, "offset": 1}, {"event_id_lo": 1, "lsn": 5, "offset": 2})
    kept.store.write_telemetry(texts("7", "7"), twice)
    assert kept.store.known_events([("7", 0, 1)])["7", 0, 1].offset == 2
    assert kept.store.days_with_telemetry(["7"]) == {"7": {20_780: 1}}


MART_ROW: dict[str, Any] = {
    "user_id": ["store-test"], "report_date": [date(2026, 3, 1)], "prosthesis_id": ["7"], "event_count": [1],
    "first_event_at": [datetime(2026, 3, 1, tzinfo=UTC)], "usage_ms_by_hour": [[1, 2]], "errors_by_code": [{"E": 1}],
    "location_lat_cell": [None], "version": [5], "is_deleted": [0],
}  # fmt: skip
MART_KEY = ("store-test", date(2026, 3, 1), "7")


def test_a_report_is_kept_by_its_version_and_a_tombstone_hides_it(kept: Kept) -> None:
    kept.store.write_reports(MART_ROW)
    kept.store.write_reports(MART_ROW | {"event_count": [7], "version": [4]})
    assert kept.reports() == {MART_KEY: (1, 5)}
    kept.store.write_reports(MART_ROW | {"event_count": [8]})
    assert kept.reports() == {MART_KEY: (8, 5)}  # the later write of a version
    kept.store.write_reports(MART_ROW | {"version": [6], "is_deleted": [1]})
    assert kept.reports() == {}
    kept.store.write_reports(MART_ROW)
    assert kept.reports() == {}
    kept.store.write_reports(MART_ROW | {"event_count": [9], "version": [7]})
    assert kept.reports() == {MART_KEY: (9, 7)}


def test_readers_see_a_report_through_the_view_and_no_tombstone(clickhouse: ClickHouseEndpoint) -> None:
    migrator = Migrator(settings_of(clickhouse, "migrator", "bionicpro"))
    migrator.migrate()
    migrator.close()
    real = ClickHouseStore(settings_of(clickhouse, "writer", "bionicpro_g1"))
    with Client(**clickhouse.client("reader")) as reader:
        query = "SELECT report.11 FROM bionicpro.reports_of_users(users = ['store-test'], first = '2026-03-01', last = '2026-03-01')"
        real.write_reports(MART_ROW)
        assert reader.execute(query) == [(1,)]
        real.write_reports(MART_ROW | {"version": [6], "is_deleted": [1]})
        assert reader.execute(query) == []
    real.close()


def test_a_server_that_is_away_is_said_to_be_unavailable() -> None:
    nowhere = ClickHouseSettings(port=1, user="u", password=SecretStr("p"), connect_timeout_s=0.5)
    with pytest.raises(StoreUnavailable):
        ClickHouseStore(nowhere).ownership(["7"])


@pytest.mark.parametrize(("limit", "raised"), [("max_memory_usage", ServerException), ("max_memory_usage_for_user", StoreUnavailable)])
def test_memory_that_one_query_lacks_is_about_its_data_and_memory_that_others_use_is_waited_for(
    clickhouse: ClickHouseEndpoint, limit: str, raised: type[Exception]
) -> None:
    store = ClickHouseStore(settings_of(clickhouse, "writer", "bionicpro"))
    try:
        with pytest.raises(raised, match=r"\b241\b"):
            store._query("SELECT groupArray(number) FROM numbers(3000000) GROUP BY number", {}, settings={limit: 1_000_000})
    finally:
        store.close()
