"""What a container without a secret reaches and is granted, from each network: it runs in the operator's image, which has clients of every server."""

from __future__ import annotations

import json
import os
import socket
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
    "airflow": ("airflow", 8080),
}
"""As tests/support/strangers.py names what it tries."""
WITHIN: Mapping[str, frozenset[str]] = {
    "front": frozenset({"keycloak", "keycloak_management", "bff", "airflow"}),
    "middle": frozenset({"keycloak", "keycloak_management", "bff", "redis", "reports_api"}),
    "back": frozenset({"postgres", "kafka", "connect", "clickhouse", "processor", "reports_api", "airflow"}),
}
"""What can be reached from each network, where it runs, and nothing else: Kafka's controller listens inside its container alone."""
SHUT_IN = ("middle", "back")
REACHED = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def is_open(address):
    try:
        socket.create_connection(tuple(address), timeout=5).close()
    except OSError:
        return False
    return True
addresses = json.load(sys.stdin)
with ThreadPoolExecutor(len(addresses)) as pool:
    print(json.dumps([name for name, is_it in zip(addresses, pool.map(is_open, addresses.values())) if is_it]))
"""
OUTSIDE = "BIONICPRO_TEST_OUTSIDE"
"""The variable with an address outside (host:port) that this machine reaches. Without it nobody looks whether a network has a way out."""
SCRIPT = REPOSITORY / "tests" / "support" / "strangers.py"
LIMIT_S = 300.0


def tried(project: Project) -> dict[str, list[str]]:
    """What was reached from each network, and which have no way out. Raises `TrialError` where that is not what `WITHIN` says, or anything was granted."""
    found: dict[str, list[str]] = {}
    running = project.containers().keys()
    for network, known in WITHIN.items():
        expected = {name for name in known if SERVICES[name][0] in running}
        reached = set(_reached(project, network, SERVICES))
        if reached != expected:
            raise TrialError(f"from {network} one reaches {sorted(reached)}, not {sorted(expected)}")
        if past := _reached(project, network, _elsewhere(project, network)):
            raise TrialError(f"from {network} one reaches {past} in other networks")
        granted = json.loads(_run(project, network, ["/strangers.py", "0"], json.dumps({name: SERVICES[name] for name in reached})))
        if any(granted.values()):
            raise TrialError(f"from {network} a stranger is granted {granted}")
        found[network] = sorted(reached)
    found["without a way out"] = _shut_in(project)
    return found


def _reached(project: Project, network: str, addresses: Mapping[str, Address]) -> list[str]:
    found: list[str] = json.loads(_run(project, network, ["-c", REACHED], json.dumps(addresses)))
    return found


def _elsewhere(project: Project, network: str) -> dict[str, Address]:
    """Every service by its addresses in the other networks, which no name leads to."""
    containers = project.containers()
    return {
        f"{name} in {other}": (attached["IPAddress"], port)
        for name, (host, port) in SERVICES.items()
        if host in containers
        for other, attached in containers[host]["NetworkSettings"]["Networks"].items()
        if other != project.network(network) and attached["IPAddress"]
    }


def _shut_in(project: Project) -> list[str]:
    """The networks from which nothing outside is reached, though from the others it is. Raises `TrialError` where one has a way out."""
    host, _, port = os.environ.get(OUTSIDE, "").rpartition(":")
    if not host:
        return []
    outside = {"outside": (socket.gethostbyname(host), int(port))}  # by address: an inner network may have no names either
    if not _reached(project, "front", outside):
        return []  # this machine itself reaches nothing, or not by this way: that proves nothing
    for network in SHUT_IN:
        if _reached(project, network, outside):
            raise TrialError(f"{network} has a way out")
    return list(SHUT_IN)


def _run(project: Project, network: str, arguments: list[str], given: str) -> str:
    mounted = ["--volume", f"{SCRIPT}:/strangers.py:ro"]
    command = ["docker", "run", "--rm", "--interactive", "--network", project.network(network), *mounted, "--entrypoint", "python", IMAGE]
    return called(*command, *arguments, limit_s=LIMIT_S, input_text=given).stdout
