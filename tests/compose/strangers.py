"""What a container without a secret reaches and is granted, from each network: it runs in the operator's image, which has clients of every server."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.compose.engine import REPOSITORY, Project, TrialError, called

IMAGE = "bionicpro/operator:0.1.0"
Address = tuple[str, int]
SERVICES: Mapping[str, Address] = {
    "postgres": ("postgres", 5432),
    "kafka": ("kafka", 9092),
    "kafka_controller": ("kafka", 9093),
    "connect": ("connect", 8083),
    "clickhouse": ("clickhouse", 9000),
    "redis": ("redis", 6379),
    "keycloak": ("keycloak", 8080),
    "keycloak_management": ("keycloak", 9000),
    "processor": ("processor", 6066),
    "reports_api": ("reports-api", 8001),
    "bff": ("bff", 8000),
}
"""As tests/support/strangers.py names what it tries."""
WITHIN: Mapping[str, frozenset[str]] = {
    "front": frozenset({"keycloak", "keycloak_management", "bff"}),
    "middle": frozenset({"keycloak", "keycloak_management", "bff", "redis", "reports_api"}),
    "back": frozenset({"postgres", "kafka", "connect", "clickhouse", "processor", "reports_api"}),
}
"""What can be reached from each network, and nothing else: Kafka's controller listens inside its container alone."""
REACHED = """
import json, socket, sys
def is_open(address):
    try:
        socket.create_connection(tuple(address), timeout=3).close()
    except OSError:
        return False
    return True
print(json.dumps([name for name, address in json.load(sys.stdin).items() if is_open(address)]))
"""
OUTSIDE = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=3)"
UNREACHABLE = "Network is unreachable"
SCRIPT = REPOSITORY / "tests" / "support" / "strangers.py"
LIMIT_S = 300.0


def tried(project: Project) -> dict[str, list[str]]:
    """What was reached from each network. Raises `TrialError` where that is not what `WITHIN` says, or anything was granted."""
    found: dict[str, list[str]] = {}
    for network, expected in WITHIN.items():
        reached = set(json.loads(_run(project, network, ["-c", REACHED], json.dumps(SERVICES))))
        if reached != expected:
            raise TrialError(f"from {network} one reaches {sorted(reached)}, not {sorted(expected)}")
        granted = json.loads(_run(project, network, ["/strangers.py", "0"], json.dumps({name: SERVICES[name] for name in reached})))
        if any(granted.values()):
            raise TrialError(f"from {network} a stranger is granted {granted}")
        found[network] = sorted(reached)
    _require_no_way_out(project)
    return found


def _require_no_way_out(project: Project) -> None:
    for network in ("middle", "back"):
        command = ["docker", "run", "--rm", "--network", project.network(network), "--entrypoint", "python", IMAGE, "-c", OUTSIDE]
        done = called(*command, limit_s=LIMIT_S, check=False)
        if UNREACHABLE not in done.stderr:
            raise TrialError(f"{network} has a way out: {done.stderr[-300:]}")


def _run(project: Project, network: str, arguments: list[str], given: str) -> str:
    mounted = ["--volume", f"{SCRIPT}:/strangers.py:ro"]
    command = ["docker", "run", "--rm", "--interactive", "--network", project.network(network), *mounted, "--entrypoint", "python", IMAGE]
    return called(*command, *arguments, limit_s=LIMIT_S, input_text=given).stdout
