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
from pathlib import Path

from service_kit.environment_files import parsed
from tests.compose import browser, strangers
from tests.compose.engine import REPOSITORY, Project, TrialError, called, compose_command
from tests.compose.wearer import LOGIN, Wearer
from tests.support.bff_servers import free_port

CRASHED = ("processor", "connect", "kafka", "clickhouse", "postgres", "redis", "keycloak", "reports-api", "bff")
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
        with _project(compose, options) as (project, page, password):
            asyncio.run(_trial(project, page, password, options, figures))
    except TrialError as error:
        progress(f"failed: {error}")
        figures["failed"] = str(error).splitlines()[0]
    print(json.dumps(figures))
    return 1 if "failed" in figures else 0


@contextmanager
def _project(compose: tuple[str, ...], options: argparse.Namespace) -> Iterator[tuple[Project, str, str]]:
    """A project of its own: a name, secrets, ports. Taken down with its volumes at the end, unless it is to be kept."""
    with tempfile.TemporaryDirectory(prefix="bionicpro-compose-") as folder:
        env_file = Path(folder) / "environment"
        called(sys.executable, str(REPOSITORY / "deploy" / "make-secrets"), str(env_file))
        port = free_port()
        with env_file.open("a", encoding="utf-8") as file:
            file.write(f"BIONICPRO_PAGE_PORT={port}\nBIONICPRO_KEYCLOAK_PORT={free_port()}\n")
            file.write(f"BIONICPRO_SECRETS_FOLDER={folder}/secrets\n")
            file.write(f"BIONICPRO_CLICKHOUSE_OPEN_FILES={min(262_144, resource.getrlimit(resource.RLIMIT_NOFILE)[1])}\n")
        password = parsed(env_file.read_text(encoding="utf-8"))[f"BIONICPRO_DEMO_{LOGIN.replace('.', '_').upper()}"]
        project = Project(compose, f"bionicpro-trial-{secrets.token_hex(3)}", env_file)
        try:
            yield project, f"http://localhost:{port}", password
        except TrialError:
            _keep_logs(project, options.logs)
            raise
        finally:
            if not options.keep:
                progress("taking it down")
                project.call("down", "--volumes", "--timeout", "20")


def _keep_logs(project: Project, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for service, container in project.containers().items():
        done = called("docker", "logs", "--tail", "500", container["Id"], check=False)
        (folder / f"{service}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    progress(f"the containers' last lines are in {folder}")


async def _trial(project: Project, page: str, password: str, options: argparse.Namespace, figures: dict[str, object]) -> None:
    limit_s, logs = options.limit, options.logs
    began = time.monotonic()
    progress("starting")
    await asyncio.to_thread(project.call, "up", "--detach", "--no-build", limit_s=limit_s)
    project.wait_healthy(limit_s, progress)
    figures["up_s"] = round(time.monotonic() - began)
    if shown := project.shown():
        raise TrialError(f"the engine shows secrets of {shown}")
    progress("up; a wearer logs in")
    async with Wearer(project, page, password) as wearer:
        await wearer.log_in()
        project.call("stop", "simulator")  # from here on nothing but this trial changes a report
        figures["row_seen_s"] = round(await wearer.sees_what_is_inserted(ROWS), 2)
        figures["verified"] = _operate(project)
        progress("a wearer comes with a browser")
        await asyncio.to_thread(browser.pictured, browser.PublishedPage(page, password), await wearer.events(), logs / "page.png")
        progress("probing")
        figures["probe_ms"] = _probed(project)
        progress("strangers try every port from every network")
        figures["reached"] = strangers.tried(project)
        for service in options.crash:
            progress(f"{service} crashes")
            project.crash(service)
            await asyncio.sleep(1)
            project.wait_healthy(limit_s, progress, without=("simulator",))
        figures["row_seen_after_crashes_s"] = round(await wearer.sees_what_is_inserted(ROWS), 2)
        figures["verified_after_crashes"] = _operate(project)
        await _stop_and_start(project, wearer, limit_s)
        figures["row_seen_after_restart_s"] = round(await wearer.sees_what_is_inserted(ROWS), 2)
        figures["verified_after_restart"] = _operate(project)


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
