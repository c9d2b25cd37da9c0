"""The servers of deploy/compose.yml as the containers of a test run: nothing is left out, nothing is empty, and Kafka can be reached from outside its network."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from local import machine, ports
from local import system as servers
from local.instance import AIRFLOW_SECRETS, SECRETS, Instance
from tests.support import composed, containers, system

NUMBERS = {name: 20_000 + number for number, name in enumerate(ports.USUAL)}


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    for folder in ("config", "data/clickhouse/config.d"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/clickhouse/config.d/more.xml").write_text("<clickhouse/>", encoding="utf-8")
    return Instance(tmp_path, NUMBERS, {name: f"secret-of-{name}" for name in (*SECRETS, *AIRFLOW_SECRETS)} | {"demo:somebody": "x"})


def test_variables_are_filled_in_as_compose_does() -> None:
    text = {"list": ["${KNOWN}/${ABSENT:-else}/${KNOWN:-else}", 7], "dollars": "$$KNOWN"}
    assert composed.filled(text, {"KNOWN": "value"}) == {"list": ["value/else/value", 7], "dollars": "$KNOWN"}


def test_every_server_is_a_container_of_the_image_that_is_deployed(instance: Instance) -> None:
    services = yaml.safe_load(composed.FILE.read_text(encoding="utf-8"))["services"]
    found = composed.definitions(instance)
    assert found.keys() == servers.SERVERS.keys()
    assert {name: each.image for name, each in found.items()} == {name: services[name]["image"] for name in found}
    assert all(Path(host).exists() for each in found.values() for host, _, _ in each.mounts)


def test_no_variable_of_a_server_is_empty(instance: Instance) -> None:
    for name, each in composed.definitions(instance).items():
        assert not {key for key, value in each.variables.items() if not value or "$" in value}, name


def test_secrets_of_the_instance_are_mounted_as_files(instance: Instance) -> None:
    found = composed.definitions(instance)
    mounted = {name: {inside: Path(host) for host, inside, _ in each.mounts} for name, each in found.items()}
    assert mounted["postgres"]["/run/secrets/POSTGRES_PASSWORD"].read_text(encoding="utf-8") == "secret-of-postgres"
    assert "/etc/clickhouse-server/users.d/passwords.xml" in mounted["clickhouse"]
    assert not [value for each in found.values() for value in each.variables.values() if value.startswith("secret-of-")]


def test_every_listener_of_the_instance_is_published_at_its_port(instance: Instance) -> None:
    published = {port for each in composed.definitions(instance).values() for port in each.ports.values()}
    ours = {"kafka_controller", "processor", "reports_api", "bff", "airflow"}
    assert published == {port for name, port in NUMBERS.items() if name not in ours}


def test_kafka_has_a_listener_for_clients_outside_its_network_with_the_same_accounts(instance: Instance) -> None:
    mounted = {inside: host for host, inside, _ in composed.definitions(instance)["kafka"].mounts}
    lines = Path(mounted[composed.KAFKA_CONFIGURATION]).read_text(encoding="utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert settings["advertised.listeners"] == f"CLIENTS://kafka:9092,HOST://127.0.0.1:{NUMBERS['kafka']}"
    assert "HOST:SASL_PLAINTEXT" in settings["listener.security.protocol.map"].split(",")
    clients = {key.removeprefix("listener.name.clients."): value for key, value in settings.items() if ".clients." in key}
    assert clients == {key.removeprefix("listener.name.host."): value for key, value in settings.items() if ".host." in key}
    assert clients


def test_what_has_a_read_only_root_writes_to_a_volume_or_to_memory(instance: Instance) -> None:
    found = composed.definitions(instance)
    assert found["keycloak"].kept == {"keycloak": "/opt/keycloak/data"}
    assert all(each.kept or each.in_memory for each in found.values() if each.limits.get("read_only"))


def test_a_tests_own_configuration_of_clickhouse_is_mounted(instance: Instance) -> None:
    mounts = composed.definitions(instance)["clickhouse"].mounts
    assert (str(composed.overrides(instance) / "more.xml"), f"{composed.CLICKHOUSE_OVERRIDES}/more.xml", "ro") in mounts


def test_containers_are_the_default_where_the_servers_packages_do_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert system.usual_backend() == "local"
    monkeypatch.setattr(machine, "unsupported", lambda *_: "this runs on Linux")
    assert system.usual_backend() == "containers"


def test_every_backend_has_what_tests_ask_of_one() -> None:
    asked = {name for name in vars(system.Backend) if not name.startswith("_")}
    assert asked >= {"instance", "variables", "begin", "wait", "stop", "start", "save", "restore", "reach", "end"}
    for backend in (system.LocalBackend, system.RunningBackend, containers.ContainersBackend):
        assert asked <= set(dir(backend)), backend


def test_the_options_backend_names_are_of_backends() -> None:
    assert {name: type(make()) for name, make in system.BACKENDS.items()} == {
        "local": system.LocalBackend,
        "containers": containers.ContainersBackend,
    }
