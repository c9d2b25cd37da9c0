"""Airflow in deploy/compose.yml, without an engine: only where it is asked for, as local/ runs it, its secrets in files, its connections read by Airflow itself."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from local import ports
from local.instance import AIRFLOW_SECRETS, SECRETS, Instance
from local.paths import AIRFLOW_VENV
from local.servers import airflow
from tests.support.waiting import PATIENCE_S

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = {name: body for name, body in COMPOSE["services"].items() if name.startswith("airflow")}
CONNECTED = {"airflow-scheduler", "airflow-triggerer"}
# What differs by place: paths, addresses, and secrets, which local/ gives as variables.
PLACES = re.compile(
    r"AIRFLOW_HOME|PYTHON\w+|SPT_NOENV|SCARF_ANALYTICS|AIRFLOW__(CORE__(DAGS_FOLDER|LOAD_EXAMPLES|FERNET_KEY|EXECUTION_API_SERVER_URL|SIMPLE_AUTH_MANAGER_PASSWORDS_FILE)"
    r"|DATABASE__SQL_ALCHEMY_CONN\w*|API__(HOST|PORT|BASE_URL|SECRET_KEY)|API_AUTH__JWT_SECRET|LOGGING__\w+(FOLDER|DIRECTORY))"
)


def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path, dict.fromkeys(ports.USUAL, 1), {name: f"the secret {name}" for name in (*SECRETS, *AIRFLOW_SECRETS)})


def secrets_of(service: str) -> dict[str, str]:
    """The files below /run/secrets, and which secret each is."""
    return {one.get("target", one["source"]): one["source"] for one in SERVICES[service]["secrets"]}


def made(tmp_path: Path) -> dict[str, str]:
    """What make-secrets writes for Airflow, of known secrets."""
    module = runpy.run_path(str(DEPLOY / "make-secrets"), run_name="make_secrets")
    known = {f"BIONICPRO_SECRET_{name.upper()}": secret for name, secret in instance(tmp_path).secrets.items()}
    files: dict[str, str] = module["airflow_files"](known)
    return files


def test_airflow_is_started_only_where_it_is_asked_for_and_nothing_waits_for_it() -> None:
    assert {body["profiles"][0] for body in SERVICES.values()} == {"airflow"}
    others = {name: body for name, body in COMPOSE["services"].items() if name not in SERVICES}
    assert not [name for name, body in others.items() if SERVICES.keys() & body.get("depends_on", {}).keys()]


def test_its_programs_are_those_of_local_with_the_same_settings(tmp_path: Path) -> None:
    commands = {name: " ".join(body["command"]) for name, body in SERVICES.items()}
    for name, arguments, connected in airflow.PARTS:
        assert commands[name].endswith(f"airflow {' '.join(arguments)}")
        assert ("connections.json" in secrets_of(name)) == connected == (name in CONNECTED)
        assert ("AIRFLOW__SECRETS__BACKEND" in SERVICES[name]["environment"]) == connected
    wanted = {name: value for name, value in airflow.settings(instance(tmp_path)).items() if not PLACES.fullmatch(name)}
    for name, body in SERVICES.items():
        assert {option: body["environment"].get(option) for option in wanted} == wanted, name


def test_secrets_come_as_files_alone() -> None:
    for service, body in SERVICES.items():
        files = {value.removeprefix("cat /run/secrets/") for name, value in body["environment"].items() if name.endswith("_CMD")}
        assert files == {"airflow-records", "airflow-cipher", "airflow-tokens", "airflow-sessions"}, service
        assert files <= secrets_of(service).keys(), service
        assert "BIONICPRO_SECRET" not in json.dumps(body), service
    assert [name for name in SERVICES if "airflow-logins" in secrets_of(name)] == ["airflow"]
    assert {source for name in SERVICES for source in secrets_of(name).values()} <= COMPOSE["secrets"].keys()


def test_make_secrets_writes_the_files_in_the_form_that_local_uses(tmp_path: Path) -> None:
    files, settings = made(tmp_path), airflow.settings(instance(tmp_path))
    assert set(files) == {name for name in COMPOSE["secrets"] if name.startswith("airflow-")}
    assert files["airflow-cipher"] == settings["AIRFLOW__CORE__FERNET_KEY"]
    assert files["airflow-tokens"] == settings["AIRFLOW__API_AUTH__JWT_SECRET"]
    assert files["airflow-sessions"] == settings["AIRFLOW__API__SECRET_KEY"]
    assert files["airflow-records"] == settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("127.0.0.1:1", "postgres:5432")
    assert json.loads(files["airflow-logins"]) == {airflow.LOGIN: "the secret airflow_login"}


def test_connections_are_those_of_local_and_name_services_of_the_file(tmp_path: Path) -> None:
    found = json.loads(made(tmp_path)["airflow-connections"])
    wanted = {
        name.removeprefix("AIRFLOW_CONN_").lower(): json.loads(value) for name, value in airflow.connections(instance(tmp_path)).items()
    }
    assert {connection["host"].partition(":")[0] for connection in found.values()} <= COMPOSE["services"].keys()
    places = ("host", "port")
    assert [{n: v for n, v in found[name].items() if n not in places} for name in sorted(found)] == [
        {n: v for n, v in wanted[name].items() if n not in places} for name in sorted(wanted)
    ]


def test_airflow_reads_the_connections_and_the_secrets_from_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, content in made(tmp_path).items():
        (folder / name).write_text(content, encoding="utf-8")
    for target, source in secrets_of("airflow-scheduler").items():
        (folder / target).write_text((folder / source).read_text(encoding="utf-8"), encoding="utf-8")
    given = {name: value.replace("/run/secrets", str(folder)) for name, value in SERVICES["airflow-scheduler"]["environment"].items()}
    program = (
        "import json; from airflow.sdk import Connection; from airflow.configuration import conf; c = Connection.get('bionicpro_outcomes');"
        "k = Connection.get('bionicpro_kafka'); print(json.dumps([c.login, c.password, c.host, k.extra_dejson,"
        " conf.get('api_auth', 'jwt_secret'), conf.get('database', 'sql_alchemy_conn')]))"
    )
    environment = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path / "home")} | given
    finished = subprocess.run(
        [str(AIRFLOW_VENV / "bin" / "python"), "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    files = made(tmp_path)
    assert json.loads(finished.stdout.splitlines()[-1]) == [
        "recorder", "the secret clickhouse_recorder", "clickhouse", {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512"},
        files["airflow-tokens"], files["airflow-records"],
    ]  # fmt: skip


def test_its_image_holds_what_the_dag_imports_and_none_of_the_services(tmp_path: Path) -> None:
    """Airflow's interpreter imports all of it from a folder with what the image copies, and nothing else."""
    text = (DEPLOY / "images" / "Dockerfile.airflow").read_text(encoding="utf-8")
    copies = [line.split() for line in re.findall(r"^COPY ((?!--)(?!locks/).*)$", text, re.MULTILINE)]
    for *sources, target in copies:
        for source in sources:
            if (REPOSITORY / source).is_dir():
                shutil.copytree(REPOSITORY / source, tmp_path / "app" / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (tmp_path / "app" / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / source, tmp_path / "app" / target)
    assert {file.name for file in (tmp_path / "app").iterdir()} == {"schemas", "service_kit", "reconciliation", "cli", "stream_processor"}
    program = (
        "import reconciliation.airflow.bionicpro_reconciliation, reconciliation.scheduled, reconciliation.outcomes, cli.states;"
        "import reconciliation.airflow.connections, reconciliation.airflow.waiting"
    )
    environment = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path / "app")}
    finished = subprocess.run(
        [str(AIRFLOW_VENV / "bin" / "python"), "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "AIRFLOW__CORE__DAGS_FOLDER=/app/reconciliation/airflow" in text
    assert "PYTHONPATH=/app" in text
