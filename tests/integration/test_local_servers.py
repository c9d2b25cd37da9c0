"""Servers are up, on loopback alone, restarted when they die, and stopped without a trace."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from clickhouse_driver import Client
from confluent_kafka import KafkaError, Producer

from cli.status.probes import StrangerError, own
from cli.status.readings import DeadLetters
from local import orphans, ports, supervision
from local import system as servers
from local.instance import Instance
from local.launch import EXIT_TRY_AGAIN, answers
from local.servers.program import LAUNCH
from tests.support.endpoints import ConnectEndpoint, KafkaEndpoint, KeycloakEndpoint, RedisEndpoint
from tests.support.system import LocalBackend, System
from tests.support.waiting import PATIENCE_S

LISTENING = "0A"
LOOPBACK_ADDRESSES = {"0100007F", "0000000000000000FFFF00000100007F"}


def pid_of(name: str, backend: LocalBackend) -> int:
    return next(state.pid for state in supervision.states_of(backend.instance) if state.name == name)


def listening() -> dict[int, set[str]]:
    """The hexadecimal local addresses that are listened on, by port."""
    found: dict[int, set[str]] = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, port = local.partition(":")
            if state == LISTENING:
                found.setdefault(int(port, 16), set()).add(address)
    return found


def test_connect_offers_debeziums_postgresql_connector(connect: ConnectEndpoint) -> None:
    plugins = httpx.get(f"{connect.url}/connector-plugins", timeout=PATIENCE_S).json()
    assert "io.debezium.connector.postgresql.PostgresConnector" in {plugin["class"] for plugin in plugins}


def test_kafka_makes_no_topic_by_itself(kafka: KafkaEndpoint) -> None:
    topic = "nobody-made-this"
    outcome: list[KafkaError] = []
    producer = Producer({**kafka.client(), "log_level": 0, "message.timeout.ms": 3000})
    producer.produce(topic, b"x", on_delivery=lambda error, _message: outcome.append(error))
    assert producer.flush(10) == 0
    assert outcome[0].code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._MSG_TIMED_OUT}
    assert topic not in producer.list_topics(timeout=PATIENCE_S).topics


def test_keycloak_serves_the_realm_under_its_public_name(system: System, keycloak: KeycloakEndpoint) -> None:
    found = httpx.get(f"{keycloak.base_url}/realms/{keycloak.realm}/.well-known/openid-configuration", timeout=PATIENCE_S).json()
    assert found["issuer"] == f"{keycloak.public_url}/realms/{keycloak.realm}"
    # Not in the machine's, where another user's Keycloak may have made it first.
    assert (system.instance.temporary / "vertx-cache").is_dir()


def test_every_server_listens_on_loopback_alone(
    system: System, kafka: KafkaEndpoint, connect: ConnectEndpoint, keycloak: KeycloakEndpoint
) -> None:
    assert system.clickhouse
    assert system.redis
    assert system.postgres
    open_ports = listening()
    ours = {name: open_ports[port] for name, port in system.instance.ports.items() if port in open_ports}
    assert len(ours) >= 8
    assert {name: addresses for name, addresses in ours.items() if not addresses <= LOOPBACK_ADDRESSES} == {}


def test_a_killed_server_is_started_again_and_its_data_is_there() -> None:
    backend = LocalBackend()
    try:
        backend.wait("clickhouse")
        instance = backend.instance
        account = {"user": "migrator", "password": instance.secrets["clickhouse_migrator"]}
        with Client("127.0.0.1", instance.ports["clickhouse"], **account) as client:
            client.execute("CREATE DATABASE kept")
            client.execute("CREATE TABLE kept.kept (x UInt8) ENGINE = MergeTree ORDER BY x")
            client.execute("INSERT INTO kept.kept VALUES", [(7,)])
        before = pid_of("clickhouse", backend)
        os.kill(before, signal.SIGKILL)
        assert supervision.wait_until(
            lambda: pid_of("clickhouse", backend) not in {0, before} and servers.is_ready(instance, "clickhouse"), 30
        )
        with Client("127.0.0.1", instance.ports["clickhouse"], **account) as client:
            assert client.execute("SELECT x FROM kept.kept") == [(7,)]
    finally:
        backend.end()


def test_an_ended_instance_leaves_no_process_and_no_folder() -> None:
    backend = LocalBackend()
    backend.wait("redis")
    backend.wait("postgres")
    folder, pids = backend.instance.folder, [pid_of("redis", backend), pid_of("postgres", backend)]
    assert all(supervision.alive(pid) for pid in pids)
    backend.end()
    assert not any(supervision.alive(pid) for pid in pids)
    assert not folder.exists()


def test_what_a_killed_supervisor_left_is_ended_before_the_next_start() -> None:
    backend = LocalBackend()
    try:
        backend.wait("redis")
        backend.wait("postgres")
        instance = backend.instance
        left = [pid_of("redis", backend), pid_of("postgres", backend)]
        os.kill(int((instance.folder / "supervisord.pid").read_text()), signal.SIGKILL)
        assert supervision.wait_until(lambda: not supervision.is_running(instance), PATIENCE_S)
        assert set(left) <= set(orphans.orphans(instance))
        assert orphans.end(instance) >= len(left)
        assert not any(supervision.alive(pid) for pid in left)
    finally:
        backend.end()


def test_a_stranger_on_a_servers_port_gets_no_secret_and_is_named() -> None:
    backend, heard = LocalBackend(), []
    try:
        with socket.create_server(("127.0.0.1", backend.instance.ports["redis"])) as stranger:
            threading.Thread(target=_listen_to_all, args=(stranger, heard), daemon=True).start()
            with pytest.raises(servers.NotReadyError, match=r"redis cannot have port \d+: a program listens there"):
                backend.wait("redis")
    finally:
        backend.end()
    assert backend.instance.secrets["redis_probe"].encode() not in b"".join(heard)


def _listen_to_all(stranger: socket.socket, heard: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = stranger.accept()
            with connection:
                heard.append(connection.recv(4096))


def test_the_status_of_another_instances_server_is_not_ours(tmp_path: Path, redis: RedisEndpoint) -> None:
    other = Instance(tmp_path, {}, {})
    asked = []
    probe = own(f"{redis.host}:{redis.port}", lambda: asked.append(1) or DeadLetters(0, 0, {}), other.folder)
    with pytest.raises(StrangerError, match="another program listens there"):
        probe()
    assert asked == []


def test_a_port_of_a_running_instance_is_no_other_instances_choice_while_its_program_is_down(system: System) -> None:
    assert system.redis
    port = system.instance.ports["bff"]
    assert ports.is_free(port)  # the page was not started
    assert ports.claim(port) is None


def test_a_program_waits_only_for_what_its_own_supervisor_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        target = f"127.0.0.1:{stranger.getsockname()[1]}"
        command = [sys.executable, str(LAUNCH), "--wait", target, "--siblings", "--deadline", "1", "--", "touch", str(tmp_path / "started")]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == EXIT_TRY_AGAIN
    assert "a program answers that this supervisor did not start" in ended.stderr
    assert not (tmp_path / "started").exists()


def test_a_program_waits_for_what_it_needs_whichever_starts_first(tmp_path: Path) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{reserved.getsockname()[1]}"
        command = [sys.executable, str(LAUNCH), "--wait", target, "--deadline", "30", "--", "touch", str(tmp_path / "started")]
        waiting = subprocess.Popen(command)
        assert not answers(target)
        assert waiting.poll() is None
        assert not (tmp_path / "started").exists()
        reserved.listen()
        assert waiting.wait(timeout=PATIENCE_S) == 0
    assert (tmp_path / "started").exists()
