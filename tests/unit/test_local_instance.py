import stat
from pathlib import Path

import pytest

from local import environments, ports
from local.instance import Instance, ensure_secrets, existing, open_instance, write_private
from service_kit.settings import ClickHouseSettings, KafkaSettings, PostgresSettings, RedisSettings, ServiceSettings


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    opened, _ = open_instance(tmp_path / "one", usual_ports=False)
    return opened


def test_secrets_are_readable_by_their_owner_alone(instance: Instance) -> None:
    environments.write_all(instance)
    private = [instance.folder / "secrets.json", instance.folder / "instance.json", *(instance.folder / "env").iterdir()]
    assert {mode_of(file) for file in private} == {0o600}


def test_secrets_are_made_once_and_differ_from_each_other(instance: Instance) -> None:
    again, _ = open_instance(instance.folder, usual_ports=False)
    assert again.secrets == instance.secrets
    assert len(set(instance.secrets.values())) == len(instance.secrets)


def test_two_instances_share_no_secret(instance: Instance, tmp_path: Path) -> None:
    other, _ = open_instance(tmp_path / "two", usual_ports=False)
    assert not set(other.secrets.values()) & set(instance.secrets.values())


def test_a_new_secret_leaves_the_others_as_they_are(instance: Instance) -> None:
    secrets = ensure_secrets(instance.folder, ["demo:somebody"])
    assert secrets.pop("demo:somebody")
    assert secrets == instance.secrets


def test_every_listener_has_a_port_of_its_own(instance: Instance) -> None:
    assert instance.ports.keys() == ports.USUAL.keys()
    assert len(set(instance.ports.values())) == len(instance.ports)


def test_an_instance_that_never_was_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="never started"):
        existing(tmp_path)


def test_the_supervisors_socket_fits_into_a_socket_address(tmp_path: Path) -> None:
    deep = Instance(tmp_path / ("x" * 120), {}, {})
    assert len(str(deep.socket)) < 108


def test_a_private_file_replaces_a_public_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), mode_of(file)) == ("new", 0o600)


def test_an_unknown_name_in_a_template_is_an_error(instance: Instance) -> None:
    with pytest.raises(KeyError):
        instance.render("redis.conf", port=1)


def test_each_process_has_an_account_of_its_own_at_each_server(instance: Instance) -> None:
    owners: dict[tuple[str, str], list[str]] = {}
    for process, variables in environments.all_of(instance).items():
        for name, value in variables.items():
            if name.endswith("__USER"):
                owners.setdefault((name, value), []).append(process)
    assert {account: processes for account, processes in owners.items() if len(processes) > 1} == {}


def test_the_variables_build_the_settings_that_services_read(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    class Everything(ServiceSettings):
        kafka: KafkaSettings
        clickhouse: ClickHouseSettings
        crm_db: PostgresSettings
        redis: RedisSettings

    variables = environments.all_of(instance)
    for process in ("processor", "simulator", "bff"):
        for name, value in variables[process].items():
            monkeypatch.setenv(name, value)
    settings = Everything()  # type: ignore[call-arg]
    assert settings.clickhouse.user == "writer"
    assert settings.crm_db.conninfo()["port"] == instance.ports["postgres"]
    assert settings.kafka.bootstrap_servers.endswith(str(instance.ports["kafka"]))
