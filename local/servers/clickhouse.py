"""ClickHouse from the chdb-core wheel (see clickhouse_server.py)."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from local import clickhouse_server
from local.instance import Instance, write_private
from local.launch import answers
from local.servers.program import Program

USERS = ("migrator", "writer", "eraser", "watcher", "reader", "auditor")
MEMORY_LIMIT_BYTES = 4 * 1024**3


def prepare(instance: Instance) -> None:
    """Write config.xml and users.xml; make the data folder."""
    folder = instance.config("clickhouse")
    for needed in (folder, instance.data("clickhouse")):
        needed.mkdir(parents=True, exist_ok=True)
    write_private(folder / "users.xml", instance.render("clickhouse-users.xml", **_hashed(instance)))
    config = instance.render(
        "clickhouse-config.xml",
        data=instance.data("clickhouse"),
        port=instance.ports["clickhouse"],
        http_port=instance.ports["clickhouse_http"],
        max_memory_bytes=MEMORY_LIMIT_BYTES,
    )
    (folder / "config.xml").write_text(config, encoding="utf-8")


def program(instance: Instance) -> Program:
    folder = instance.config("clickhouse")
    script = str(Path(clickhouse_server.__file__).resolve())
    return Program(
        name="clickhouse",
        command=(sys.executable, script, str(instance.data("clickhouse")), str(folder / "serving.fifo")),
        directory=folder,
        stop_wait_s=30,
        priority=15,
    )


def ready(instance: Instance) -> bool:
    return answers(f"http://127.0.0.1:{instance.ports['clickhouse_http']}/ping")


def _hashed(instance: Instance) -> dict[str, str]:
    return {user: hashlib.sha256(instance.secrets[f"clickhouse_{user}"].encode()).hexdigest() for user in USERS}
