"""The daily audit in containers: its published page is logged in to, its Dag is sound, and a run that is asked for finds a report that is gone and mends it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Error, expect, sync_playwright

from local import machine
from tests.compose.engine import REPOSITORY, Project, TrialError
from tests.e2e.conftest import ARGUMENTS

PROFILE = "airflow"
PROGRAMS = ("airflow", "airflow-dag-processor", "airflow-scheduler", "airflow-triggerer")
LOGIN = "auditor"
DAG = "bionicpro_reconciliation"
LIMIT_S = 900.0
SEEN_MS = 120_000
ENDED = {"success", "failed"}
SCRIPT = REPOSITORY / "tests" / "compose" / "within.py"


@dataclass(frozen=True)
class Audit:
    """Airflow of *project* at its published *address*, by the one login's password."""

    project: Project
    address: str
    secret: str = field(repr=False)

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Of its interface, with a token of the login. Raises `TrialError`."""
        with httpx.Client(base_url=self.address, timeout=60, trust_env=False) as client:
            if (nobody := client.get("/api/v2/dags").status_code) != 401:
                raise TrialError(f"Airflow answers somebody without a login: HTTP {nobody}")
            told = _checked(client.post("/auth/token", json={"username": LOGIN, "password": self.secret}))
            client.headers["Authorization"] = f"Bearer {told['access_token']}"
            yield client

    def tried(self, picture: Path) -> dict[str, Any]:
        """Everything that this module's first line says; what the run counted, by phase. Raises `TrialError`."""
        with self.client() as client:
            _until(lambda: _all_well(client), "all of its programs say that they are well")
            _until(lambda: DAG in {dag["dag_id"] for dag in _get(client, "dags")["dags"]}, "it has read its Dag")
            if errors := _get(client, "importErrors")["import_errors"]:
                raise TrialError(f"Airflow could not read its Dag: {errors}")
            self.pictured(picture)
            day = str(self._within("schema", "lose")["day"])
            run_id = _begun(client, day)
            _until(lambda: _get(client, f"dags/{DAG}/dagRuns/{run_id}")["state"] in ENDED, f"the run {run_id} ends")
            if (state := _get(client, f"dags/{DAG}/dagRuns/{run_id}")["state"]) != "success":
                raise TrialError(f"the run {run_id} ended as {state}: {_tasks(client, run_id)}")
        found = self._within("operator", "counted", run_id)
        if found.get("found", {}).get("missing") != 1 or found.get("left", {}).get("equal") is not True:
            raise TrialError(f"of a report that is gone the run says {found}")
        return dict(found)

    def pictured(self, picture: Path) -> None:
        """Log in in Chromium and see the Dag; *picture* shows it. Raises `TrialError`."""
        picture.parent.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=machine.chromium(), args=list(ARGUMENTS))
            try:
                self._look(browser, picture)
            except (AssertionError, Error) as error:
                raise TrialError(f"Airflow in the browser: {error}") from None
            finally:
                browser.close()

    def _look(self, browser: Browser, picture: Path) -> None:
        page = browser.new_page()
        page.set_default_timeout(SEEN_MS)
        page.goto(f"{self.address}/dags")
        page.locator("input[name=username]").fill(LOGIN)
        page.locator("input[name=password]").fill(self.secret)
        page.locator("button[type=submit]").click()
        expect(page.get_by_text(DAG).first).to_be_visible(timeout=SEEN_MS)
        page.screenshot(path=picture, full_page=True)

    def _within(self, service: str, *arguments: str) -> Mapping[str, Any]:
        """What within.py prints, run with the account of *service*."""
        mounted = ("--volume", f"{SCRIPT}:/within.py:ro", "--entrypoint", "python")
        said = self.project.call("run", "--rm", *mounted, service, "/within.py", *arguments).stdout
        found: Mapping[str, Any] = json.loads(said.splitlines()[-1])
        return found


def _begun(client: httpx.Client, day: str) -> str:
    """Ask for a run over one day; its id."""
    asked = client.post(f"/api/v2/dags/{DAG}/dagRuns", json={"logical_date": None, "conf": {"from": day, "to": day}})
    return str(_checked(asked)["dag_run_id"])


def _tasks(client: httpx.Client, run_id: str) -> dict[str, str]:
    found = _get(client, f"dags/{DAG}/dagRuns/{run_id}/taskInstances")["task_instances"]
    return {f"{task['task_id']}[{task['map_index']}]": str(task["state"]) for task in found}


def _all_well(client: httpx.Client) -> bool:
    found = _get(client, "monitor/health")
    return all(found.get(part, {}).get("status") == "healthy" for part in ("metadatabase", "scheduler", "triggerer", "dag_processor"))


def _get(client: httpx.Client, path: str) -> Any:
    return _checked(client.get(f"/api/v2/{path}"))


def _checked(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise TrialError(f"{answer.request.url}: HTTP {answer.status_code} {answer.text[:600]}")
    return answer.json()


def _until(what: Callable[[], bool], told: str) -> None:
    """Wait for it; while a program starts, its connections fail. Raises `TrialError`."""
    until, last = time.monotonic() + LIMIT_S, ""
    while time.monotonic() < until:
        try:
            if what():
                return
        except httpx.HTTPError as error:
            last = f": {error}"
        time.sleep(2)
    raise TrialError(f"not within {LIMIT_S:g} s: {told}{last}")
