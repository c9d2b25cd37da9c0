"""Seeding and simulating against real source databases, with the simulator's own accounts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

import simulator
from simulator.demo_data import CONTRACTS, CUSTOMERS, PROSTHESES
from simulator.fleet import read_fleet, renew_a_contract
from simulator.load_demo import Loaded, load_demo
from simulator.simulate import Pace, Simulator
from tests.support.endpoints import PostgresEndpoint
from tests.support.sources import Sources, fresh_sources
from tests.support.waiting import PATIENCE_S

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def loaded(postgres: PostgresEndpoint) -> Iterator[Sources]:
    with fresh_sources(postgres) as fresh:
        first = load_demo(fresh.conninfo("crm", "crm_app"), fresh.conninfo("telemetry", "telemetry_ingest"), NOW, days=3)
        assert first.customers == len(CUSTOMERS)
        assert first.telemetry_rows > 1000
        yield fresh


def ask(sources: Sources, schema: str, question: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**sources.conninfo(schema, "auditor")) as connection:
        return connection.execute(question.encode()).fetchall()


def events(sources: Sources) -> int:
    return int(ask(sources, "telemetry", "SELECT count(*) FROM telemetry.telemetry_events")[0][0])


def test_loading_again_adds_nothing_also_later(loaded: Sources) -> None:
    accounts = loaded.conninfo("crm", "crm_app"), loaded.conninfo("telemetry", "telemetry_ingest")
    assert load_demo(*accounts, NOW, days=3) == Loaded(0, 0)
    assert load_demo(*accounts, NOW + timedelta(hours=9), days=3) == Loaded(0, 0)


def test_what_is_loaded_is_the_demo_and_ends_before_now(loaded: Sources) -> None:
    assert ask(loaded, "crm", "SELECT count(*) FROM crm.contracts") == [(len(CONTRACTS),)]
    assert ask(loaded, "crm", "SELECT count(*) FROM crm.prostheses") == [(len(PROSTHESES),)]
    ((latest,),) = ask(loaded, "telemetry", "SELECT max(greatest(recorded_at, received_at)) FROM telemetry.telemetry_events")
    assert latest <= NOW


def test_the_fleet_is_who_has_a_contract_now(loaded: Sources) -> None:
    with psycopg.connect(**loaded.conninfo("crm", "crm_app")) as crm:
        fleet = {device.serial_number: device for device in read_fleet(crm, NOW)}
        back_then = {device.serial_number: device for device in read_fleet(crm, NOW - timedelta(days=40))}
    assert set(fleet) == {contract.serial_number for contract in CONTRACTS if contract.ends is None}
    assert fleet["BH3-0007"].timezone == "America/Los_Angeles"
    assert back_then["BH3-0007"].timezone == "Europe/Berlin"


def test_a_renewed_contract_leaves_no_moment_without_an_owner(loaded: Sources) -> None:
    with psycopg.connect(**loaded.conninfo("crm", "crm_app")) as crm:
        before = read_fleet(crm, NOW)
        number = renew_a_contract(crm, NOW, Random(1))
        assert read_fleet(crm, NOW) == before
        ends, starts = crm.execute(
            "SELECT old.ends_at, new.starts_at FROM crm.contracts new JOIN crm.contracts old"
            " ON old.prosthesis_id = new.prosthesis_id AND old.customer_id = new.customer_id AND old.ends_at = new.starts_at"
            " WHERE new.number = %s",
            (number,),
        ).fetchone() or (None, None)
        crm.rollback()
    assert ends == starts == NOW


def test_the_simulator_uploads_live_readings_with_the_servers_time_of_receipt(loaded: Sources) -> None:
    before = events(loaded)
    stop = threading.Event()
    crm, telemetry = loaded.conninfo("crm", "crm_app"), loaded.conninfo("telemetry", "telemetry_ingest")
    player = Simulator(crm, telemetry, Pace(rate=200), lambda: datetime.now(UTC), Random(1))
    thread = threading.Thread(target=player.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: player.uploaded > 50)
    finally:
        stop.set()
        thread.join(timeout=PATIENCE_S)
    assert not thread.is_alive()
    assert events(loaded) == before + player.uploaded
    ((early,),) = ask(
        loaded,
        "telemetry",
        "SELECT count(*) FROM (SELECT * FROM telemetry.telemetry_events ORDER BY event_id DESC LIMIT 50) e WHERE received_at < recorded_at",
    )
    assert early == 0


def test_the_simulator_ends_cleanly_on_sigterm_and_says_what_it_uploaded(loaded: Sources) -> None:
    before = events(loaded)
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "simulate", "--rate", "50", "--seed", "1"],
        cwd=Path(simulator.__file__).parents[1],
        env=os.environ | variables(loaded),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: events(loaded) > before)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert f"{events(loaded) - before} readings uploaded" in errors


def test_readings_wait_while_the_database_is_away_and_are_uploaded_when_it_is_back(loaded: Sources) -> None:
    stop = threading.Event()
    crm, telemetry = loaded.conninfo("crm", "crm_app"), loaded.conninfo("telemetry", "telemetry_ingest")
    player = Simulator(crm, telemetry, Pace(rate=100), lambda: datetime.now(UTC), Random(1))
    before = events(loaded)
    thread = threading.Thread(target=player.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: player.uploaded > 0)
        end_sessions(loaded)
        reached = player.uploaded
        wait_until(lambda: player.uploaded > reached)
    finally:
        stop.set()
        thread.join(timeout=PATIENCE_S)
    assert events(loaded) == before + player.uploaded


def end_sessions(sources: Sources) -> None:
    with psycopg.connect(**sources.conninfo("telemetry", "postgres")) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'telemetry_ingest'"
        )


def variables(sources: Sources) -> dict[str, str]:
    found = {}
    for section, schema, role in (("CRM_DB", "crm", "crm_app"), ("TELEMETRY_DB", "telemetry", "telemetry_ingest")):
        info = sources.conninfo(schema, role)
        names = {"HOST": "host", "PORT": "port", "DATABASE": "dbname", "USER": "user", "PASSWORD": "password"}
        found |= {f"BIONICPRO_{section}__{variable}": str(info[name]) for variable, name in names.items()}
    return found


def wait_until(condition: Any, limit_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {limit_s:.0f} s")
        time.sleep(0.1)
