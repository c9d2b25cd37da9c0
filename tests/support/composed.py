"""The servers of deploy/compose.yml, each as the arguments of a container: the same image, command, variables, files and limits.

So the images stand in one file, and what the tests run on is what is deployed. What a test run needs otherwise is here: servers are published on
loopback at the ports of an instance, and Kafka has a listener more, for clients that do not stand in its network.
"""

from __future__ import annotations

import re
import resource
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local import paths
from local.instance import Instance, write_private
from service_kit.settings import SECRETS_FOLDER

FILE = paths.REPOSITORY / "deploy" / "compose.yml"
OPEN_FILES = 262_144
# The port inside the container, by the instance's name for the listener.
LISTENERS: Mapping[str, Mapping[str, int]] = {
    "postgres": {"postgres": 5432},
    "kafka": {"kafka": 9094},
    "connect": {"connect": 8083},
    "clickhouse": {"clickhouse": 9000},
    "redis": {"redis": 6379},
    "keycloak": {"keycloak": 8080, "keycloak_management": 9000},
}
KAFKA_CONFIGURATION = "/mnt/shared/config/server.properties"
CLICKHOUSE_OVERRIDES = "/etc/clickhouse-server/config.d"
# Compose's names of what the engine's interface calls so too.
AS_THEY_ARE = ("user", "read_only", "cap_drop", "security_opt", "shm_size", "stop_signal")
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-([^}]*))?\})")
SECONDS = re.compile(r"(\d+)s")


@dataclass(frozen=True)
class Definition:
    """``ports``: inside → on loopback. ``mounts``: host path, path inside, mode. ``kept``: volumes with data, and where they are inside. ``in_memory``: folders. ``limits``: further arguments of the engine's."""

    image: str
    command: list[str] | None
    variables: Mapping[str, str]
    ports: Mapping[int, int]
    mounts: tuple[tuple[str, str, str], ...]
    kept: Mapping[str, str]
    in_memory: tuple[str, ...]
    limits: Mapping[str, Any]
    stop_wait_s: int


def definitions(instance: Instance) -> dict[str, Definition]:
    """Every server, with the secrets and ports of *instance*. Writes Kafka's configuration and the secrets' files below the instance's folder."""
    folder = instance.config("secrets")
    runpy.run_path(str(FILE.parent / "make-secrets"), run_name="make_secrets")["write_files"](folder, secrets(instance))
    compose = filled(yaml.safe_load(FILE.read_text(encoding="utf-8")), values(instance) | {"BIONICPRO_SECRETS_FOLDER": str(folder)})
    return {name: _definition(instance, name, compose["services"][name], compose["secrets"]) for name in LISTENERS}


def secrets(instance: Instance) -> dict[str, str]:
    """What deploy/make-secrets would write, of the instance's own secrets."""
    return {f"BIONICPRO_SECRET_{name.upper()}": secret for name, secret in instance.secrets.items() if ":" not in name}


def values(instance: Instance) -> dict[str, str]:
    """What else stands in an environment file."""
    ports = {"BIONICPRO_PAGE_PORT": str(instance.ports["bff"]), "BIONICPRO_KEYCLOAK_PORT": str(instance.ports["keycloak"])}
    open_files = min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    return ports | {"BIONICPRO_CLICKHOUSE_OPEN_FILES": str(open_files)}


def filled(value: Any, known: Mapping[str, str]) -> Any:
    """*value* with every ``${NAME}`` and ``${NAME:-default}`` of its texts replaced as Compose does; one that is not known is empty."""
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: "$" if found[1] else known.get(found[2], found[3] or ""), value)
    if isinstance(value, Mapping):
        return {key: filled(each, known) for key, each in value.items()}
    return [filled(each, known) for each in value] if isinstance(value, list) else value


def _definition(instance: Instance, name: str, service: Mapping[str, Any], files: Mapping[str, Any]) -> Definition:
    limits: dict[str, Any] = {key: service[key] for key in AS_THEY_ARE if key in service}
    limits["ulimits"] = [
        {"name": limit, "soft": int(each["soft"]), "hard": int(each["hard"])} for limit, each in service.get("ulimits", {}).items()
    ]
    volumes = [volume.split(":") for volume in service.get("volumes", ())]
    mounts = [(str((FILE.parent / source).resolve()), *inside) for source, *inside in volumes if source.startswith(".")]
    mounts += [(files[each["source"]]["file"], str(SECRETS_FOLDER / each["target"]), "ro") for each in service.get("secrets", ())]
    if name == "kafka":
        mounts = [
            (_with_host_listener(instance, host) if inside == KAFKA_CONFIGURATION else host, inside, mode) for host, inside, mode in mounts
        ]
    if name == "clickhouse":
        mounts += [(str(file), f"{CLICKHOUSE_OVERRIDES}/{file.name}", "ro") for file in sorted(overrides(instance).glob("*.xml"))]
    return Definition(
        image=service["image"],
        command=service.get("command"),
        variables={key: str(each) for key, each in service.get("environment", {}).items()},
        ports={inside: instance.ports[listener] for listener, inside in LISTENERS[name].items()},
        mounts=tuple(mounts),
        kept={source: inside for source, inside, *_ in volumes if not source.startswith(".")},
        in_memory=tuple(service.get("tmpfs", ())),
        limits=limits,
        stop_wait_s=int(found[1]) if (found := SECONDS.fullmatch(service.get("stop_grace_period", ""))) else 10,
    )


def overrides(instance: Instance) -> Path:
    """The folder of ClickHouse's further configuration."""
    return instance.data("clickhouse") / "config.d"


def _with_host_listener(instance: Instance, file: str) -> str:
    """A copy of Kafka's configuration with the listener HOST, advertised where it is published, with the accounts of CLIENTS."""
    port = LISTENERS["kafka"]["kafka"]
    changes = {
        "listeners": f",HOST://:{port}",
        "advertised.listeners": f",HOST://127.0.0.1:{instance.ports['kafka']}",
        "listener.security.protocol.map": ",HOST:SASL_PLAINTEXT",
    }
    lines: list[str] = []
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        key = line.partition("=")[0]
        lines.append(line + changes.get(key, ""))
        if key.startswith("listener.name.clients."):
            lines.append(line.replace("listener.name.clients.", "listener.name.host.", 1))
    copy = instance.config("kafka-in-a-container.properties")
    write_private(copy, "\n".join(lines) + "\n")
    copy.chmod(0o444)  # another account reads it
    return str(copy)
