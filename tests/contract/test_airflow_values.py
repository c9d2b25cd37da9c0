"""deploy/kubernetes/airflow-values.yaml against what it names: the image, the Dag's folder, the connections and accounts, secrets by reference alone. No cluster is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import ports
from local.instance import AIRFLOW_SECRETS, SECRETS, Instance
from local.servers import airflow

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "deploy" / "kubernetes" / "airflow-values.yaml"
VALUES: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((REPOSITORY / "deploy" / "compose.yml").read_text(encoding="utf-8"))
DOCKERFILE = (REPOSITORY / "deploy" / "images" / "Dockerfile.airflow").read_text(encoding="utf-8")
DOCUMENT = (REPOSITORY / "docs" / "reconciliation.md").read_text(encoding="utf-8")


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The values of a tree by their paths."""
    if isinstance(value, dict):
        return {at: leaf for name, inner in value.items() for at, leaf in leaves(inner, (*path, str(name))).items()}
    if isinstance(value, list):
        return {at: leaf for number, inner in enumerate(value) for at, leaf in leaves(inner, (*path, str(number))).items()}
    return {path: value}


def test_the_image_and_its_airflow_are_those_that_are_built_here() -> None:
    image = VALUES["images"]["airflow"]
    assert f"{image['repository']}:{image['tag']}" == COMPOSE["services"]["airflow"]["image"]
    lock = (REPOSITORY / "locks" / "airflow.txt").read_text(encoding="utf-8")
    assert f"apache-airflow-core=={VALUES['airflowVersion']} " in lock
    assert f"--uid {VALUES['securityContexts']['pod']['runAsUser']} " in DOCKERFILE
    assert f"AIRFLOW_HOME={VALUES['airflowHome']} " in DOCKERFILE


def test_the_dag_is_found_where_the_image_has_it() -> None:
    folder = VALUES["config"]["core"]["dags_folder"]
    assert f"AIRFLOW__CORE__DAGS_FOLDER={folder} " in DOCKERFILE
    assert (REPOSITORY / Path(folder).relative_to("/app") / "bionicpro_reconciliation.py").is_file()
    assert not VALUES["dags"]["persistence"]["enabled"]
    assert not VALUES["dags"]["gitSync"]["enabled"]


@pytest.mark.parametrize("part", ["scheduler", "triggerer"])
def test_both_parts_that_use_connections_get_all_of_them_from_a_secret(part: str, tmp_path: Path) -> None:
    instance = Instance(tmp_path, dict.fromkeys(ports.USUAL, 1), dict.fromkeys((*SECRETS, *AIRFLOW_SECRETS), "x"))
    found = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in VALUES[part]["env"]}
    assert found.keys() == airflow.connections(instance).keys()
    assert {f"AIRFLOW_CONN_{reference['key'].upper()}" for reference in found.values()} == found.keys()
    assert {reference["name"] for reference in found.values()} == {"bionicpro-airflow-connections"}


def test_no_other_part_gets_them_and_no_secret_is_written_down() -> None:
    assert {path[0] for path, leaf in leaves(VALUES).items() if leaf == "bionicpro-airflow-connections"} == {"scheduler", "triggerer"}
    sensitive = {path: leaf for path, leaf in leaves(VALUES).items() if re.search(r"(?i)password|secret$|key$|pass$|connection$", path[-1])}
    assert {
        path: leaf for path, leaf in sensitive.items() if leaf not in {"/tmp/logins.json", "logins"} and "secretKeyRef" not in path
    } == {}


def test_settings_that_decide_what_runs_are_those_of_local(tmp_path: Path) -> None:
    instance = Instance(tmp_path, dict.fromkeys(ports.USUAL, 1), dict.fromkeys((*SECRETS, *AIRFLOW_SECRETS), "x"))
    here = airflow.settings(instance)
    assert VALUES["executor"] == here["AIRFLOW__CORE__EXECUTOR"]
    places = {"dags_folder", "auth_manager", "simple_auth_manager_passwords_file"}
    for section, options in VALUES["config"].items():
        for name, value in options.items():
            if name not in places:
                assert str(value) == here[f"AIRFLOW__{section.upper()}__{name.upper()}"], name


def test_the_document_names_the_secrets_their_keys_and_the_accounts() -> None:
    secrets = {leaf for path, leaf in leaves(VALUES).items() if str(leaf).startswith("bionicpro-airflow")}
    keys = {"connection", "fernet-key", "api-secret-key", "jwt-secret", "logins"} | {
        one["valueFrom"]["secretKeyRef"]["key"] for one in VALUES["scheduler"]["env"]
    }
    for name in secrets | keys | {"auditor", "recorder", "operator"}:
        assert f"`{name}`" in DOCUMENT, name
