"""The connectors' files, the migrations and the catalogue agree with one another."""

from __future__ import annotations

import re

import pytest

from connectors.apply import Connector, read_connectors
from schemas.topics import catalogue
from simulator.sources.migrate import FOLDER, read_migrations

CONNECTORS = {connector.name: connector for connector in read_connectors()}
both = pytest.mark.parametrize("connector", CONNECTORS.values(), ids=lambda connector: connector.name)


def migrations(database: str) -> str:
    return "\n".join(migration.statements for migration in read_migrations(FOLDER / database))


def published(database: str) -> set[str]:
    (tables,) = re.findall(r"CREATE PUBLICATION \w+\s+FOR TABLE ([^;]*?)\s+WITH", migrations(database))
    return {table.strip() for table in tables.split(",")}


def test_there_is_a_connector_for_each_source() -> None:
    assert set(CONNECTORS) == {"crm", "telemetry"}


@both
def test_captured_tables_and_signals_are_what_the_publication_lists(connector: Connector) -> None:
    captured = {*connector.config["table.include.list"].split(","), connector.config["signal.data.collection"]}
    assert captured == published(connector.name)


@both
def test_no_file_holds_an_account_or_an_address(connector: Connector) -> None:
    for name in ("hostname", "port", "dbname", "user", "password", "sslmode"):
        assert re.fullmatch(r"\$\{env:BIONICPRO_[A-Z_]+\}", connector.config[f"database.{name}"])


@both
def test_delivery_is_exactly_once_into_topics_of_the_catalogue(connector: Connector) -> None:
    assert connector.config["exactly.once.support"] == "required"
    assert connector.config["transforms.route.replacement"] in catalogue()
    assert not [name for name in connector.config if name.startswith("topic.creation")]


@both
def test_the_connector_makes_no_publication_of_its_own(connector: Connector) -> None:
    assert connector.config["publication.autocreate.mode"] == "disabled"
    assert f"CREATE PUBLICATION {connector.config['publication.name']}\n" in migrations(connector.name)


@both
def test_heartbeats_touch_only_what_the_connectors_account_may_update(connector: Connector) -> None:
    schema = connector.name
    assert connector.config["heartbeat.action.query"] == f"UPDATE {schema}.pipeline_heartbeats SET beat_at = clock_timestamp()"
    assert f"GRANT UPDATE (beat_at) ON {schema}.pipeline_heartbeats TO debezium" in migrations(schema)


def test_telemetry_keys_hold_the_event_id_so_that_incremental_snapshots_keep_every_row() -> None:
    # Debezium folds the rows of a snapshot's window by record key: with the prosthesis alone it would keep one row of each.
    assert CONNECTORS["telemetry"].config["message.key.columns"] == "telemetry.telemetry_events:prosthesis_id,event_id"


def test_only_crm_changes_carry_tombstones() -> None:
    assert CONNECTORS["crm"].config["tombstones.on.delete"] == "true"
    assert CONNECTORS["telemetry"].config["tombstones.on.delete"] == "false"
