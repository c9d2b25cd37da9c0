"""ClickHouse from the chdb-core wheel (see clickhouse_server.py)."""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path

from clickhouse_driver import Client
from clickhouse_driver.errors import Error

from local import clickhouse_server
from local.instance import Instance, write_private
from local.servers.program import Program

USERS = ("migrator", "writer", "eraser", "watcher", "reader", "finder", "auditor", "recorder")
MEMORY_LIMIT_BYTES = 4 * 1024**3
logging.getLogger("clickhouse_driver.connection").setLevel(logging.ERROR)  # a server that starts refuses connections: no news


def prepare(instance: Instance) -> None:
    """Write config.xml and users.xml beside the data: the folder is all that the server sees."""
    folder = instance.data("clickhouse")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "users.xml", instance.render("clickhouse-users.xml", **_hashed(instance)))
    config = instance.render("clickhouse-config.xml", port=instance.ports["clickhouse"], max_memory_bytes=MEMORY_LIMIT_BYTES)
    write_private(folder / "config.xml", config)


def program(instance: Instance) -> Program:
    script = str(Path(clickhouse_server.__file__).resolve())
    return Program(
        name="clickhouse",
        command=(sys.executable, script, str(instance.data("clickhouse"))),
        directory=instance.folder,
        stop_wait_s=30,
        priority=15,
    )


def ready(instance: Instance) -> bool:
    """Whether an account that may hardly do anything is let in."""
    account = {"user": "reader", "password": instance.secrets["clickhouse_reader"]}
    client = Client("127.0.0.1", instance.ports["clickhouse"], connect_timeout=2, send_receive_timeout=2, **account)
    try:
        return bool(client.execute("SELECT 1"))
    except (Error, EOFError, OSError):
        return False
    finally:
        client.disconnect()


def _hashed(instance: Instance) -> dict[str, str]:
    return {user: hashlib.sha256(instance.secrets[f"clickhouse_{user}"].encode()).hexdigest() for user in USERS}
