"""``python -m tests.compose``: build the images, start deploy/compose.yml, use it, break it, stop it, start it again, take it down.

It needs an engine (``docker``), Compose of either version, root (to build stand-ins for upstream's images and to end processes of containers), 6 GiB of memory, and
what ``make prepare`` fetched. Ports, secrets and the project's name are this run's own. One JSON line; exit code 1 where anything was not as it should be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from service_kit.environment_files import parsed
from tests.compose import audit, browser, strangers
from tests.compose.audit import Audit
from tests.compose.engine import REPOSITORY, Project, TrialError, called, compose_command
from tests.compose.wearer import LOGIN, Wearer
from tests.support.bff_servers import free_port

CRASHED = ("processor", "connect", "kafka", "clickhouse", "postgres", "redis", "keycloak", "reports-api", "bff", "airflow-scheduler")
PAGE_PORT, KEYCLOAK_PORT, AIRFLOW_PORT = PORTS = ("BIONICPRO_PAGE_PORT", "BIONICPRO_KEYCLOAK_PORT", "BIONICPRO_AIRFLOW_PORT")
AIRFLOW_LOGIN = "BIONICPRO_SECRET_AIRFLOW_LOGIN"
ROWS = 7
BEGAN = time.monotonic()


def progress(line: str) -> None:
    print(f"[{time.monotonic() - BEGAN:5.0f} s] {line}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    figures: dict[str, object] = {"trial": "compose"}
    try:
        if not options.built:
            progress("building images")
            build = subprocess.run([sys.executable, str(REPOSITORY / "deploy" / "build-images")], check=False, timeout=options.limit)
            if build.returncode:
                raise TrialError("the images could not be built")
        compose = tuple(options.compose.split()) if options.compose else compose_command()
        figures["compose"] = called(*compose, "version").stdout.splitlines()[0]
        with _project(compose, options) as project:
            asyncio.run(_trial(project, options, figures))
    except TrialError as error:
        progress(f"failed: {error}")
        figures["failed"] = str(error).splitlines()[0]
    print(json.dumps(figures))
    return 1 if "failed" in figures else 0


@contextmanager
def _project(compose: tuple[str, ...], options: argparse.Namespace) -> Iterator[Project]:
    """A project of its own: a name, secrets, ports. Taken down with its volumes at the end, unless it is to be kept."""
    with tempfile.TemporaryDirectory(prefix="bionicpro-compose-") as folder:
        env_file = Path(folder) / "environment"
        called(sys.executable, str(REPOSITORY / "deploy" / "make-secrets"), str(env_file))
        with env_file.open("a", encoding="utf-8") as file:
            for name in PORTS:
                file.write(f"{name}={free_port()}\n")
            file.write(f"BIONICPRO_SECRETS_FOLDER={folder}/secrets\n")
            file.write(f"BIONICPRO_CLICKHOUSE_OPEN_FILES={min(262_144, resource.getrlimit(resource.RLIMIT_NOFILE)[1])}\n")
        project = Project(compose, f"bionicpro-trial-{secrets.token_hex(3)}", env_file)
        try:
            yield project
        except TrialError:
            _keep_logs(project, options.logs)
            raise
        finally:
            if not options.keep:
                progress("taking it down")
                replace(project, profiles=(audit.PROFILE,)).call("down", "--volumes", "--timeout", "20")


def _keep_logs(project: Project, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for service, container in project.containers().items():
        done = called("docker", "logs", "--tail", "500", container["Id"], check=False)
        (folder / f"{service}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    progress(f"the containers' last lines are in {folder}")


async def _trial(project: Project, options: argparse.Namespace, figures: dict[str, object]) -> None:
    known = parsed(project.env_file.read_text(encoding="utf-8"))
    page, password = f"http://localhost:{known[PAGE_PORT]}", known[f"BIONICPRO_DEMO_{LOGIN.replace('.', '_').upper()}"]
    began = time.monotonic()
    progress("starting")
    await asyncio.to_thread(project.call, "up", "--detach", "--no-build", limit_s=options.limit)
    project.wait_healthy(options.limit, progress)
    figures["up_s"] = round(time.monotonic() - began)
    async with Wearer(project, page, password) as wearer:
        await _use(project, wearer, browser.PublishedPage(page, password), options, figures)
        airflow = None
        if not options.without_airflow:
            project = replace(project, profiles=(audit.PROFILE,))
            airflow = Audit(project, f"http://localhost:{known[AIRFLOW_PORT]}", known[AIRFLOW_LOGIN])
            await asyncio.to_thread(_audited, airflow, options, figures)
        figures["memory_mib"] = project.memory()
        if shown := project.shown():
            raise TrialError(f"the engine shows secrets of {shown}")
        progress("strangers try every port from every network")
        figures["reached"] = strangers.tried(project)
        await _crash(project, options)
        figures["row_seen_after_crashes_s"] = round(await wearer.sees_what_is_inserted(ROWS), 2)
        figures["verified_after_crashes"] = _operate(project)
        await _stop_and_start(project, wearer, options.limit)
        figures["row_seen_after_restart_s"] = round(await wearer.sees_what_is_inserted(ROWS), 2)
        if airflow:
            progress("another run of the audit")
            figures["airflow_run_after_restart"] = await asyncio.to_thread(airflow.tried, options.logs / "airflow-after-restart.png")
        figures["verified_after_restart"] = _operate(project)


async def _use(
    project: Project, wearer: Wearer, page: browser.PublishedPage, options: argparse.Namespace, figures: dict[str, object]
) -> None:
    progress("up; a wearer logs in")
    await wearer.log_in()
    project.call("stop", "simulator")  # from here on nothing but this trial changes a report
    figures["row_seen_s"] = round(await wearer.sees_what_is_inserted(ROWS), 2)
    figures["verified"] = _operate(project)
    progress("a wearer comes with a browser")
    await asyncio.to_thread(browser.pictured, page, await wearer.events(), options.logs / "page.png")
    progress("probing")
    figures["probe_ms"] = _probed(project)


async def _crash(project: Project, options: argparse.Namespace) -> None:
    """One service after the other, each until all is well again."""
    for service in (each for each in options.crash if each in project.containers()):
        progress(f"{service} crashes")
        project.crash(service)
        await asyncio.sleep(1)
        project.wait_healthy(options.limit, progress, without=("simulator",))


def _audited(airflow: Audit, options: argparse.Namespace, figures: dict[str, object]) -> None:
    """Airflow comes to a system that runs, and mends what it finds. Raises `TrialError`."""
    project = airflow.project
    progress("Airflow comes")
    began = time.monotonic()
    project.call("up", "--detach", "--no-build", *audit.PROGRAMS, limit_s=options.limit)
    project.wait_healthy(options.limit, progress, without=("simulator",))
    figures["airflow_up_s"] = round(time.monotonic() - began)
    progress("the audit's page, its Dag, and a run")
    began = time.monotonic()
    figures["airflow_run"] = airflow.tried(options.logs / "airflow.png")
    figures["airflow_tried_s"] = round(time.monotonic() - began)
    figures["verified_by_airflow"] = _operate(project)


def _operate(project: Project) -> str:
    """What `verify` says last. Raises `TrialError` where an operator's command says that something is wrong."""
    said = ""
    for command in ("status", "verify"):
        progress(f"bionicpro {command}")
        said = project.call("run", "--rm", "operator", command).stdout.strip()
    return said.splitlines()[-1]


def _probed(project: Project) -> dict[str, float]:
    """From the commit of marked rows until the reports service's stream shows them, in milliseconds. Raises `TrialError` where one is missing."""
    told = json.loads(project.call("run", "--rm", "probe", "--stream", "--json").stdout.splitlines()[-1])
    if told["missing"] or not told["removed"]:
        raise TrialError(f"probe: {told}")
    return dict(told["ms"])


async def _stop_and_start(project: Project, wearer: Wearer, limit_s: float) -> None:
    """Everything that was counted is there afterwards, and the session, too."""
    before = await wearer.signals()
    progress("stopping and starting everything")
    project.call("stop", "--timeout", "40")
    project.call("up", "--detach", "--no-build", limit_s=limit_s)
    project.wait_healthy(limit_s, progress)
    project.call("stop", "simulator")
    if (after := await wearer.signals()) < before:
        raise TrialError(f"{before} signals were counted before the restart, {after} are after it")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.compose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compose", help="the command (default: `docker compose`, else `docker-compose`)")
    parser.add_argument("--built", action="store_true", help="the images are built already")
    parser.add_argument("--without-airflow", action="store_true", help="leave out the profile `airflow` (it takes 1 GiB more)")
    parser.add_argument("--keep", action="store_true", help="leave the project running at the end")
    parser.add_argument("--crash", nargs="*", choices=CRASHED, default=CRASHED, help="the services to crash (default: all of them)")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds that each wait may take (default: 900)")
    parser.add_argument(
        "--logs",
        type=Path,
        default=Path("test-results/compose"),
        help="where the page's picture goes, and after a failure the containers' logs",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
