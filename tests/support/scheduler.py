"""Airflow as the tests talk to it: its REST interface with a login's token, and its interpreter for what runs in one process."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from local import paths, steps, supervision
from local.servers import airflow
from service_kit import environment_files
from tests.support.processor import until
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

DAG = "bionicpro_reconciliation"
SCHEDULER = "airflow-scheduler"
# A machine under load has needed minutes for what takes seconds.
READY_S, RUN_S = 600.0, 600.0
ENDED = {"success", "failed"}


@dataclass(frozen=True)
class Run:
    """A run that has ended. *tasks*: the state of each task instance by (task, map index); *said*: what `conclude` logged."""

    run_id: str
    state: str
    tasks: dict[tuple[str, int], str]
    said: str


class Scheduler:
    """Airflow of a system, started where it does not run."""

    def __init__(self, system: System) -> None:
        self._instance = system.instance
        running = {state.name for state in supervision.states_of(self._instance) if state.state in supervision.ACTIVE}
        self._started = [name for name in airflow.NAMES if name not in running]
        system.carry_out(steps.AIRFLOW)
        until(lambda: airflow.ready(self._instance), "all of Airflow is well", READY_S)
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self._instance.ports['airflow']}", timeout=PATIENCE_S, trust_env=False)
        login = {"username": airflow.LOGIN, "password": self._instance.secrets["airflow_login"]}
        token = self._checked(self._client.post("/auth/token", json=login))["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"
        until(lambda: DAG in {dag["dag_id"] for dag in self.get("dags")["dags"]}, "the Dag is known", READY_S)

    def close(self) -> None:
        """Stop what was started: at rest Airflow takes a tenth of a core from the tests that follow."""
        self._client.close()
        supervision.stop_programs(self._instance, self._started)

    def get(self, path: str, **query: Any) -> Any:
        return self._checked(self._client.get(f"/api/v2/{path}", params=query))

    def as_nobody(self, path: str) -> int:
        """The status that a request without a token gets."""
        return self._client.get(f"/api/v2/{path}", headers={"Authorization": ""}).status_code

    def first(self, since: datetime, **parameters: Any) -> Run:
        """The run that the scheduler made by itself since then, once it has ended; one that is triggered with *parameters* where it ran before."""
        until(self._is_made, "the run that is due is made", READY_S)
        runs = self.get(f"dags/{DAG}/dagRuns", run_type="scheduled", run_after_lte=datetime.now(UTC).isoformat())["dag_runs"]
        begun = [run for run in runs if run["start_date"] is None or datetime.fromisoformat(run["start_date"]) >= since]
        return self.ended(begun[-1]["dag_run_id"]) if begun else self.run(**parameters)

    def _is_made(self) -> bool:
        """Whether the next run is one of a later day: the scheduler makes the one that is due some time after it has read the Dag."""
        following = self.get(f"dags/{DAG}")["next_dagrun_run_after"]
        return following is not None and datetime.fromisoformat(following) > datetime.now(UTC)

    def run(self, **parameters: Any) -> Run:
        """Trigger a run with *parameters* and wait for its end."""
        return self.ended(self.begin(**parameters))

    def begin(self, **parameters: Any) -> str:
        """Trigger a run with *parameters*; its id."""
        asked = self._client.post(f"/api/v2/dags/{DAG}/dagRuns", json={"logical_date": None, "conf": parameters})
        run_id: str = self._checked(asked)["dag_run_id"]
        return run_id

    def ended(self, run_id: str) -> Run:
        """The run once it has ended."""
        path = f"dags/{DAG}/dagRuns/{run_id}"
        until(lambda: self.get(path)["state"] in ENDED, lambda: f"run {run_id} ends; {self.tasks(run_id)}", RUN_S)
        return Run(run_id, self.get(path)["state"], self.tasks(run_id), self.log(run_id, "conclude"))

    def tasks(self, run_id: str) -> dict[tuple[str, int], str]:
        """The state of each task instance by (task, map index)."""
        found = self.get(f"dags/{DAG}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {(task["task_id"], task["map_index"]): str(task["state"]) for task in found}

    def log(self, run_id: str, task: str, *, map_index: int = -1) -> str:
        """What the task's last attempt wrote."""
        path = f"dags/{DAG}/dagRuns/{run_id}/taskInstances/{task}"
        tried = self.get(path if map_index < 0 else f"{path}/{map_index}")["try_number"]
        content = self.get(f"{path}/logs/{tried}", map_index=map_index, full_content=True)["content"]
        return "\n".join(
            f"{line['event']} {json.dumps(line.get('error_detail', ''))}" if isinstance(line, dict) else line for line in content
        )

    def link(self, run: Run, task: str, map_index: int) -> dict[str, str]:
        """The extra links of a task instance."""
        links = self.get(f"dags/{DAG}/dagRuns/{run.run_id}/taskInstances/{task}/links", map_index=map_index)
        found: dict[str, str] = links["extra_links"]
        return found

    def in_process(self, program: str) -> Any:
        """The JSON document that *program* prints last, in Airflow's interpreter, with the scheduler's variables.

        The scheduler rests meanwhile: it and ``dag.test()`` would take each other's tasks.
        """
        supervision.stop_programs(self._instance, [SCHEDULER])
        try:
            return self._in_process(program)
        finally:
            supervision.start_programs(self._instance, [SCHEDULER])

    def _in_process(self, program: str) -> Any:
        variables = environment_files.read(self._instance.env_file(SCHEDULER))
        done = subprocess.run(
            [str(paths.AIRFLOW_VENV / "bin" / "python"), "-c", program],
            env={**os.environ, **variables},
            cwd=self._instance.data("airflow"),
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    @staticmethod
    def _checked(answer: httpx.Response) -> Any:
        assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text[:600]}"
        return answer.json()
