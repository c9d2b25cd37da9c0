"""``python -m tests.load``: servers and processes of its own, a crowd, a real restart of Keycloak. One JSON line; exit code 1 where anything was wrong."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local import supervision
from local import system as servers
from local.launch import wait_for
from service_kit import processes
from service_kit.percentiles import percentile
from service_kit.percentiles import told as percentiles
from tests.load.crowd import Plan, Site, Tally, run
from tests.load.people import enrol
from tests.support.bff_case import CLIENT_SECRET, Realm, make_realm
from tests.support.bff_servers import free_port
from tests.support.reports_world import Mart
from tests.support.system import LocalBackend, System

ACCESS_TOKEN_S = 60
"""Tokens live this long here, and are renewed after half of it: the outage meets expired ones, and sessions are refreshed all the while."""
START_LIMIT_S = 120
SERVERS = ("clickhouse", "keycloak", "redis")
SHOWN = 10
MOST_SLOWER_BY = 2.0
"""So many times as long as without may the others wait at p99 beside an abuser."""


def progress(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    backend = LocalBackend()
    try:
        system = System(backend)
        backend.begin(SERVERS)
        progress("starting ClickHouse, Keycloak, Redis")
        with ExitStack() as stack:
            site = stack.enter_context(_site(system, options.bffs, options.logs or system.instance.logs))
            people = enrol(site.realm, options.users)
            plan = Plan(options.seconds, options.pause, options.abuse)
            tally = asyncio.run(run(site, people, plan, lambda: _restart_keycloak(system), progress))
    finally:
        backend.end()
    print(json.dumps(_document(options, tally)))
    for line in (*tally.wrong[:SHOWN], *tally.leaked[:SHOWN]):
        progress(line)
    noticed = slower_by(tally) > MOST_SLOWER_BY
    if noticed:
        progress(f"the abuser was noticed: p99 of the others grew {slower_by(tally):.1f}-fold; {MOST_SLOWER_BY:g} is allowed")
    return 1 if tally.wrong or tally.leaked or noticed or not tally.statuses[200] else 0


def slower_by(tally: Tally) -> float:
    """How many times as long the others waited at p99 with the abuser as without; 1 where nobody abused."""
    if not tally.calm_s or not tally.abused_s:
        return 1.0
    return percentile(tally.abused_s, 99) / percentile(tally.calm_s, 99)


def _document(options: argparse.Namespace, tally: Tally) -> dict[str, object]:
    return {
        "load": "login-and-reports",
        "users": options.users,
        "seconds": options.seconds,
        "bffs": options.bffs,
        "requests": tally.statuses.total(),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "stream_events": tally.events,
        "wrong_answers": len(tally.wrong),
        "leaked_sessions": len(tally.leaked),
        "ms": percentiles(tally.latencies_s),
        "ms_without_abuser": percentiles(tally.calm_s),
        "ms_beside_abuser": percentiles(tally.abused_s),
        "abusers_statuses": {str(status): count for status, count in sorted(tally.abusers.items())},
        "keycloak_away_s": round(tally.outage_s, 1),
        "recovery_s": round(tally.recovery_s, 1),
    }


@contextmanager
def _site(system: System, bffs: int, logs: Path) -> Iterator[Site]:
    """A realm and a mart of this run, the reports service, and BFFs in front of it: real processes."""
    page = f"http://127.0.0.1:{free_port()}"
    realm = make_realm(system.keycloak, page, page)
    realm.configure(accessTokenLifespan=ACCESS_TOKEN_S)
    mart = Mart(system.clickhouse)
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.callback(mart.close)
        reports = f"http://127.0.0.1:{free_port()}"
        stack.enter_context(_process("reports_api", _reports(system, realm, reports), logs / "load-reports.log"))
        addresses = [page, *(f"http://127.0.0.1:{free_port()}" for _ in range(bffs - 1))]
        for number, address in enumerate(addresses):
            stack.enter_context(_process("bff", _bff(system, realm, address, reports), logs / f"load-bff-{number}.log"))
        silent = wait_for([f"{address}/health/ready" for address in (reports, *addresses)], START_LIMIT_S)
        if silent is not None:
            raise RuntimeError(f"{silent} does not answer; see {logs}")
        yield Site(realm, mart, system.redis, page, tuple(addresses))


def _reports(system: System, realm: Realm, address: str) -> dict[str, str]:
    return system.variables("reports-api") | {"BIONICPRO_KEYCLOAK__REALM": realm.name, "BIONICPRO_REPORTS__PORT": _port(address)}


def _bff(system: System, realm: Realm, address: str, reports: str) -> dict[str, str]:
    own = {
        "BIONICPRO_KEYCLOAK__REALM": realm.name,
        "BIONICPRO_BFF__PORT": _port(address),
        "BIONICPRO_BFF__PUBLIC_URL": realm.page,
        "BIONICPRO_BFF__REPORTS_URL": reports,
        "BIONICPRO_BFF__CLIENT_SECRET": CLIENT_SECRET,
        # Everybody comes from one address here.
        "BIONICPRO_BFF__LOGINS_PER_MINUTE": "100000",
    }
    return system.variables("bff") | own


def _port(address: str) -> str:
    return address.rsplit(":", 1)[1]


@contextmanager
def _process(module: str, variables: Mapping[str, str], log: Path) -> Iterator[None]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BIONICPRO_")}
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", module], env=inherited | dict(variables), stdout=output, stderr=output)
        try:
            yield
        finally:
            processes.end(process, 30)


async def _restart_keycloak(system: System) -> None:
    """Stop Keycloak, start it again, and return when it is ready."""
    instance = system.instance
    await asyncio.to_thread(supervision.stop_programs, instance, ["keycloak"])
    await asyncio.to_thread(supervision.start_programs, instance, ["keycloak"])
    until = time.monotonic() + START_LIMIT_S
    while not await asyncio.to_thread(servers.SERVERS["keycloak"].ready, instance):
        if time.monotonic() > until:
            raise RuntimeError(f"Keycloak was not ready again within {START_LIMIT_S} s; see {instance.logs}")
        await asyncio.sleep(0.2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--users", type=_positive, default=200, help="people at once (default: 200)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they ask beside the outage; 0: no outage (default: 60)")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two questions of a person (default: 2)")
    parser.add_argument(
        "--abuse", type=float, default=20.0, help="seconds beside an abuser, and as many before without; 0: none (default: 20)"
    )
    parser.add_argument("--bffs", type=_positive, default=2, help="BFF instances (default: 2)")
    parser.add_argument("--logs", type=Path, help="keep the logs of the services in this folder")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
