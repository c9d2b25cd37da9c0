"""Secrets of deploy/compose.yml: files that deploy/make-secrets writes, never a container's variables, which everybody sees who may ask the engine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from service_kit.settings import ClickHouseSettings, ServiceSettings, load
from tests.support.compose_file import COMPOSE, DEPLOY, SERVICES, TEXT, VARIABLE, make_secrets, secrets
from tests.support.waiting import PATIENCE_S

SECRETS_FOLDER = "/run/secrets/"


def test_no_secret_is_a_variable_of_a_container_or_stands_in_the_file() -> None:
    for service, body in SERVICES.items():
        for name, value in body.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|SHA256|AUTH|DEMO|REDIS", name) and not name.startswith(
                "AIRFLOW__"
            ):  # see test_compose_airflow.py
                assert name.endswith("_FILE"), f"{service}: {name}"
                assert value.removeprefix(SECRETS_FOLDER) in secrets(service), f"{service}: {name}"
    assert not re.findall(r"BIONICPRO_(?:SECRET|SHA256|DEMO)_\w+\}", TEXT)
    assert not re.findall(r"://[^/\s:]*:[^@\s]+@", TEXT)


def test_every_program_with_secrets_reads_files_or_is_started_by_one_that_does() -> None:
    read_files = {"postgres", "kafka", "clickhouse", "redis"}  # each in its own way; ours by service_kit, but for these
    started = {"keycloak": "keycloak", "connect": "connect", "demo-users": "bff"}
    for service, image in started.items():
        text = (DEPLOY / "images" / f"Dockerfile.{image}").read_text(encoding="utf-8")
        entries = [json.loads(entry)[0].rpartition("/")[2] for entry in re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)]
        assert "with-secrets" in entries, service
    ours = {service for service, body in SERVICES.items() if "build" in body}
    assert {service for service in SERVICES if secrets(service)} == ours | read_files


def test_secrets_become_variables_of_the_program_alone(tmp_path: Path) -> None:
    (tmp_path / "NAME").write_text("a b$c", encoding="utf-8")
    (tmp_path / "source-accounts").write_text("no variable", encoding="utf-8")
    script = tmp_path / "with-secrets"
    script.write_text(
        (DEPLOY / "images" / "with-secrets").read_text(encoding="utf-8").replace(SECRETS_FOLDER, f"{tmp_path}/"), encoding="utf-8"
    )
    done = subprocess.run(
        ["bash", script, "env"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert "NAME=a b$c" in done.stdout.splitlines()
    assert "no variable" not in done.stdout


def test_make_secrets_writes_exactly_the_files_that_containers_get(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "env")
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600
    assert len(set(made.values())) == len(made)
    assert all(len(secret) >= 16 and "$" not in secret for secret in made.values())  # Compose would replace what follows a dollar
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    declared = {name: VARIABLE.sub(lambda found: found[2], each["file"]) for name, each in COMPOSE["secrets"].items()}
    assert declared == {name: f"./secrets/{name}" for name in declared}
    assert declared.keys() == {secret["source"] for body in SERVICES.values() for secret in body.get("secrets", ())}
    assert {file.name for file in folder.iterdir()} == declared.keys()
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o444}
    assert (folder / "kafka_broker").read_text(encoding="utf-8") == made["BIONICPRO_SECRET_KAFKA_BROKER"]


def test_make_secrets_keeps_what_is_there_and_makes_the_files_of_it_anew(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("BIONICPRO_PAGE_PORT=9000\nBIONICPRO_SECRET_REDIS_BFF=chosen-by-hand\n", encoding="utf-8")
    made = make_secrets(file)
    assert made["BIONICPRO_PAGE_PORT"] == "9000"
    assert made["BIONICPRO_SECRET_REDIS_BFF"] == "chosen-by-hand"
    assert f"user bff on #{hashlib.sha256(b'chosen-by-hand').hexdigest()} " in (tmp_path / "secrets" / "redis-users").read_text(
        encoding="utf-8"
    )
    assert (tmp_path / "secrets" / "redis-url").read_text(encoding="utf-8") == "redis://bff:chosen-by-hand@redis:6379/0"
    assert make_secrets(file) == made


def test_the_example_names_every_variable_and_no_value() -> None:
    lines = [line for line in (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    module = runpy.run_path(str(DEPLOY / "make-secrets"), run_name="make_secrets")
    # Nobody's but the person's who names a mail server: it is not drawn.
    empty = {name for name, value in VARIABLE.findall(TEXT) if not value} | {"BIONICPRO_MAIL_PASSWORD"}
    assert {name for name, value in example.items() if not value} == module["completed"]({}).keys() | empty
    assert {name: value for name, value in example.items() if value} == {name: value for name, value in VARIABLE.findall(TEXT) if value}


def test_a_variable_goes_before_the_file_of_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Settings(ServiceSettings):
        clickhouse: ClickHouseSettings

    (tmp_path / "BIONICPRO_CLICKHOUSE__PASSWORD").write_text("of the file\n", encoding="utf-8")
    (tmp_path / "source-accounts").write_text("no setting", encoding="utf-8")
    monkeypatch.setattr("service_kit.settings.SECRETS_FOLDER", tmp_path)
    monkeypatch.setenv("BIONICPRO_CLICKHOUSE__USER", "writer")
    assert load(Settings).clickhouse.password.get_secret_value() == "of the file"
    monkeypatch.setenv("BIONICPRO_CLICKHOUSE__PASSWORD", "of the variable")
    assert load(Settings).clickhouse.password.get_secret_value() == "of the variable"
