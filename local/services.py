"""Our own programs as the supervisor sees them. Each waits for what it needs, in any starting order."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from local import paths
from local.instance import Instance
from local.servers.program import Program, launched

# name, command after the interpreter, listeners it needs (see ports.USUAL)
SERVICES: Sequence[tuple[str, tuple[str, ...], tuple[str, ...]]] = (
    ("processor", ("-m", "stream_processor"), ("kafka", "clickhouse")),
    ("eraser", ("-m", "eraser"), ("clickhouse",)),
    ("watch", ("-m", "cli", "connectors", "watch"), ("postgres", "connect", "clickhouse")),
    ("reports-api", ("-m", "reports_api"), ("clickhouse",)),
    ("simulator", ("-m", "simulator", "simulate"), ("postgres",)),
    ("bff", ("-m", "bff"), ("keycloak", "redis", "reports_api")),
)


def programs(instance: Instance) -> list[Program]:
    return [
        Program(
            name=name,
            command=launched(
                (sys.executable, *command),
                wait=tuple(f"127.0.0.1:{instance.ports[port]}" for port in needs),
                env_file=instance.env_file(name),
            ),
            directory=paths.REPOSITORY,
            stop_wait_s=30,
            priority=50,
        )
        for name, command, needs in SERVICES
    ]
