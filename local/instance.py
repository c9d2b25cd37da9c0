"""One running copy of the system: a folder with its data, logs, configuration, secrets and ports.

``<folder>/secrets.json`` (mode 0600) holds passwords made at first use; ``instance.json`` the ports. Several instances run
side by side; nothing but the folder tells them apart.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from local import formats, paths, ports
from local.ports import Reservation

SECRET_BYTES = 24
TYPED_SECRET_BYTES = 12  # of a demo login: somebody types it
# What others of the machine may not even list. PostgreSQL's folder is its own account's and not among them.
PRIVATE = ("config", "logs", "env", "tmp")
PRIVATE_DATA = ("kafka", "clickhouse", "redis", "keycloak", "processor", "airflow")
MAX_SOCKET_PATH = 100  # of the 108 bytes that Linux allows

# How a value is written, by template or its suffix: a path may hold blanks, quotes and letters of any language.
WRITTEN: Mapping[str, Callable[[str], str]] = {
    "redis.conf": formats.valkey,
    "supervisord.conf": formats.supervisor,
    "connect-jaas.conf": formats.inside_quotes,
    ".xml": formats.xml,
    ".properties": formats.java_properties,
}

SECRETS = (
    "postgres",
    "crm_owner",
    "crm_app",
    "telemetry_owner",
    "telemetry_ingest",
    "debezium",
    "auditor",
    "watcher",
    "clickhouse_migrator",
    "clickhouse_writer",
    "clickhouse_eraser",
    "clickhouse_watcher",
    "clickhouse_reader",
    "clickhouse_finder",
    "clickhouse_auditor",
    "keycloak_admin",
    "bff_client",
    "probe_client",
    "kafka_broker",
    "kafka_connect",
    "kafka_processor",
    "kafka_operator",
    "connect_operator",
    "redis_bff",
    "redis_probe",
)

# Of Airflow, which containers run with accounts of their own (local/servers/airflow.py).
AIRFLOW_SECRETS = ("airflow", "airflow_login", "airflow_tokens", "airflow_sessions", "airflow_cipher", "clickhouse_recorder")


@dataclass(frozen=True)
class Instance:
    """``ports`` by listener (see ports.USUAL), ``secrets`` by account."""

    folder: Path
    ports: Mapping[str, int]
    secrets: Mapping[str, str] = field(repr=False)
    held: Reservation | None = field(default=None, repr=False, compare=False)
    """What holds the ports until the supervisor does; None for an instance that was started before."""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def identifier(self) -> str:
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:10]

    def data(self, part: str) -> Path:
        return self.folder / "data" / part

    def config(self, name: str) -> Path:
        return self.folder / "config" / name

    @property
    def temporary(self) -> Path:
        """For temporary files, emptied before each start."""
        return self.folder / "tmp"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def env_file(self, process: str) -> Path:
        return self.folder / "env" / f"{process}.env"

    @property
    def socket(self) -> Path:
        """The supervisor's Unix socket; elsewhere where the folder's path is too long for one."""
        near = self.folder / "supervisor.sock"
        if len(str(near)) <= MAX_SOCKET_PATH:
            return near
        return Path(tempfile.gettempdir()) / f"bionicpro-{os.geteuid()}-{self.identifier}" / "supervisor.sock"

    @property
    def page(self) -> str:
        return f"http://localhost:{self.ports['bff']}"

    @property
    def keycloak_url(self) -> str:
        return f"http://localhost:{self.ports['keycloak']}"

    def render(self, template: str, **values: object) -> str:
        """The template's text with every ``$name`` replaced, each value as the template's format writes it; an unknown name is an error."""
        text = (paths.TEMPLATES / template).read_text(encoding="utf-8")
        written = WRITTEN.get(template, WRITTEN.get(Path(template).suffix, str))
        return Template(text).substitute({name: written(str(value)) for name, value in values.items()})


def folder_of(name: str) -> Path:
    """The folder of the instance *name*: below ``.local/``, or the path itself where *name* holds a slash."""
    return Path(name).resolve() if "/" in name else paths.INSTANCES / name


def open_instance(folder: Path, *, usual_ports: bool) -> tuple[Instance, list[str]]:
    """The instance in *folder*, made on first use, with ports that are free now and held, and notes about ports that moved.

    Call only while nothing of the instance runs: its own listeners would look taken. See ``existing``.
    """
    for passage in (folder, folder / "data"):
        private_folder(passage)
        passage.chmod(0o711 if paths.is_root() else 0o700)  # PostgreSQL, which does not run as root, has to get to its own folder
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    for part in (*PRIVATE, *(f"data/{server}" for server in PRIVATE_DATA)):
        private_folder(folder / part)
    held, notes = ports.reserve(wanted_ports(_stored_ports(folder), usual=usual_ports))
    write_private(folder / "instance.json", json.dumps({"ports": held.ports}, indent=1))
    return Instance(folder, dict(held.ports), ensure_secrets(folder, (*SECRETS, *AIRFLOW_SECRETS)), held), notes


def wanted_ports(stored: Mapping[str, int], *, usual: bool) -> dict[str, list[int]]:
    """The ports that each listener would like, best first: its usual one, also after it had to move, then the one that it had last."""
    return {
        name: list(dict.fromkeys(([port] if usual else []) + ([stored[name]] if name in stored else [])))
        for name, port in ports.USUAL.items()
    }


def existing(folder: Path) -> Instance:
    """The instance in *folder* as it was last started. Raises FileNotFoundError where there is none."""
    if not (folder / "instance.json").exists():
        raise FileNotFoundError(f"there is no instance in {folder}: it was never started. Run `make up`")
    return Instance(folder, _stored_ports(folder), ensure_secrets(folder, ()))


def ensure_secrets(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """All secrets of *folder*; those of *names* that are absent are made and written. Idempotent."""
    file = folder / "secrets.json"
    known: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    absent = [name for name in names if name not in known]
    if absent:
        known |= {name: secrets.token_urlsafe(TYPED_SECRET_BYTES if name.startswith("demo:") else SECRET_BYTES) for name in absent}
        write_private(file, json.dumps(known, indent=1))
    return known


def private_folder(folder: Path) -> Path:
    """*folder*, made where it is absent, open to its owner alone. What an earlier version left open to others is shut."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def write_private(file: Path, text: str) -> None:
    """Replace *file* in one step by *text*, readable by its owner alone from its first moment."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.replace(file)


def _stored_ports(folder: Path) -> dict[str, int]:
    file = folder / "instance.json"
    stored: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))["ports"] if file.exists() else {}
    return stored
