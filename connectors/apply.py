"""Makes Kafka Connect run the connectors of this folder's ``*.json`` files, over Connect's REST interface.

The files hold no secret: ``${env:…}`` is resolved inside the Connect process (its ``EnvVarConfigProvider``), so passwords stand neither in git, nor in
Connect's own topics, nor in what its REST interface answers. Connectors that are not files here are left alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import Field

from connectors.plan import Step, differences
from service_kit.retries import Policy, retrying
from service_kit.settings import Section, ServiceSettings, load

FOLDER = Path(__file__).parent
RETRY_PAUSE_S = 0.25
SETTLED_POLLS = 3  # a connector is running when it says so this often in a row: after a change the old answer lingers


class ConnectError(RuntimeError):
    """Connect refused a connector, or one of its tasks failed; the message holds Connect's reason or the task's trace."""


class _NotNowError(Exception):
    """Connect is away or busy; the same request may succeed later."""


class ConnectAwayError(ConnectError):
    """Connect did not answer, or not yet with sense, until the deadline."""


@dataclass(frozen=True)
class Connector:
    """A connector as its file has it; *config* without the ``name`` that Connect adds."""

    name: str
    config: Mapping[str, str]


UNREADABLE = "Error while processing event at offset"
"""What Debezium says where it cannot read a change of the database's log, as of a column that had another type then."""


@dataclass(frozen=True)
class ConnectorStatus:
    """States as Connect names them (``RUNNING``, ``FAILED``, ``PAUSED``, ``UNASSIGNED``, …, ``ABSENT``); *traces* of what failed."""

    name: str
    connector: str
    tasks: tuple[str, ...]
    traces: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        return self.connector == "RUNNING" and bool(self.tasks) and all(state == "RUNNING" for state in self.tasks)

    @property
    def failed(self) -> bool:
        return self.connector == "FAILED" or "FAILED" in self.tasks

    @property
    def cannot_go_on(self) -> bool:
        """Whether it failed at a change that Debezium cannot read: after a restart it begins with that change again."""
        return any(UNREADABLE in trace for trace in self.traces)

    @property
    def failure(self) -> str:
        """That it failed and why, what goes past it where a restart cannot, and then the whole traces."""
        causes = "; ".join(filter(None, map(cause_of, self.traces)))
        way_out = f"; run {self.way_out}" if self.cannot_go_on else ""
        return f"connector {self.name} failed: {causes}{way_out}\n" + "\n".join(self.traces)

    @property
    def way_out(self) -> str:
        """What helps where it failed."""
        if self.cannot_go_on:
            return f"`bionicpro connectors resnapshot {self.name}`, which goes past the change that cannot be read, then `bionicpro repair`"
        return "`bionicpro connectors apply`"


def cause_of(trace: str) -> str:
    """What a Java trace says is at the bottom of it, on one line: the last two ``Caused by``, the first line where there is none.

    Of a topic that is not there the last one says only that, and the one before says which.
    """
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return "; ".join(causes[-2:]) if causes else next(iter(lines), "")


class CaptureSection(Section):
    """``BIONICPRO_CAPTURE__POLL_INTERVAL_MS``: how often a connector that has nothing to do looks for changes, in place of what its file says.

    Longer waits save CPU (of 10 ms, a tenth to a third of a core for both connectors) and cost freshness.
    """

    poll_interval_ms: int | None = Field(default=None, ge=1, le=1000)


class CaptureSettings(ServiceSettings):
    capture: CaptureSection = CaptureSection()


def wanted_connectors(folder: Path = FOLDER) -> list[Connector]:
    """The connectors of *folder*, as the settings of this process want them. Raises ConnectError as ``read_connectors``."""
    interval = load(CaptureSettings).capture.poll_interval_ms
    changed = {} if interval is None else {"poll.interval.ms": str(interval)}
    return [Connector(connector.name, {**connector.config, **changed}) for connector in read_connectors(folder)]


def read_connectors(folder: Path = FOLDER) -> list[Connector]:
    """The connectors of *folder*, by name, as their files say. Raises ConnectError for a file that is no ``{"name", "config"}`` of texts."""
    connectors: list[Connector] = []
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        config = document.get("config")
        if document.get("name") != path.stem or not isinstance(config, dict) or not all(isinstance(v, str) for v in config.values()):
            raise ConnectError(f"{path.name}: must be an object with name {path.stem!r} and a config whose values are all texts")
        connectors.append(Connector(path.stem, config))
    return connectors


def plan(wanted: Sequence[Connector], found: Mapping[str, Mapping[str, str]], statuses: Mapping[str, ConnectorStatus]) -> list[Step]:
    """What would make Connect agree with *wanted*: create, alter, or restart what failed. Empty where everything runs as written."""
    steps: list[Step] = []
    for connector in wanted:
        config = {**connector.config, "name": connector.name}
        existing = found.get(connector.name)
        if existing is None:
            steps.append(Step("create", connector.name))
        elif changed := (*differences(config, existing), *(f"{name}: remove" for name in sorted(existing.keys() - config.keys()))):
            steps.append(Step("alter", connector.name, changed))
        elif (status := statuses.get(connector.name)) is not None and status.failed:
            steps.append(Step("restart", connector.name, tuple(cause_of(trace) for trace in status.traces if trace)))
    return steps


class Connect:
    """Kafka Connect's REST interface. Each call waits out rebalances and start-up (connection refused, 404 and 409 answers, 5xx) until *deadline_s*."""

    def __init__(self, url: str, deadline_s: float = 60.0, login: tuple[str, str] | None = None) -> None:
        self._http = httpx.Client(base_url=url, auth=login, timeout=httpx.Timeout(30.0, connect=5.0))
        self._deadline_s = deadline_s

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Connect:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def configs(self) -> dict[str, dict[str, str]]:
        """Every connector's configuration by name."""
        answer = self._call("GET", "/connectors?expand=info").json()
        return {name: entry["info"]["config"] for name, entry in answer.items()}

    def statuses(self) -> dict[str, ConnectorStatus]:
        """Every connector's status by name."""
        answer = self._call("GET", "/connectors?expand=status").json()
        return {name: _status(name, entry["status"]) for name, entry in answer.items() if "status" in entry}

    def apply(self, wanted: Sequence[Connector]) -> list[Step]:
        """Carry out ``plan`` and wait until every connector of *wanted* runs; returns the steps taken. Idempotent.

        Raises ConnectError (refused, a task failed, or not running within the deadline; it names the connector and shows the trace).
        """
        steps = plan(wanted, self.configs(), self.statuses())
        by_name = {connector.name: connector for connector in wanted}
        for step in steps:
            if step.action == "restart":
                self._call("POST", f"/connectors/{step.subject}/restart?includeTasks=true&onlyFailed=true")
            else:
                self._call("PUT", f"/connectors/{step.subject}/config", dict(by_name[step.subject].config))
        changed = {step.subject for step in steps}
        for connector in wanted:
            self._wait_until_running(connector.name, polls=SETTLED_POLLS if connector.name in changed else 1)
        return steps

    def stop(self, name: str) -> None:
        """Stop a connector: it keeps its configuration and its offsets, and has no tasks. Returns when it has; idempotent."""
        self._call("PUT", f"/connectors/{name}/stop")
        deadline = time.monotonic() + self._deadline_s
        while (status := self.statuses().get(name)) is None or status.connector != "STOPPED" or status.tasks:
            if time.monotonic() > deadline:
                raise ConnectError(f"connector {name} did not stop within {self._deadline_s:.0f} s: {status}")
            time.sleep(RETRY_PAUSE_S)

    def forget_offsets(self, name: str) -> None:
        """Delete the offsets of a stopped connector, so that it begins with a snapshot. Idempotent."""
        self._call("DELETE", f"/connectors/{name}/offsets")

    def resume(self, name: str) -> None:
        """Let a stopped connector run again; returns when it does. Raises ConnectError with the trace of what failed."""
        self._call("PUT", f"/connectors/{name}/resume")
        self._wait_until_running(name, polls=SETTLED_POLLS)

    def restart(self, name: str) -> None:
        """Restart a connector and its tasks, failed or not; returns when it runs. It goes on from its offsets."""
        self._call("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=false")
        self._wait_until_running(name, polls=SETTLED_POLLS)

    def restart_failed(self, name: str) -> None:
        """Ask for a restart of what failed of a connector, without waiting for what comes of it."""
        self._call("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true")

    def _wait_until_running(self, name: str, polls: int) -> None:
        deadline = time.monotonic() + self._deadline_s
        settled = failing = 0
        while settled < polls:
            status = self.statuses().get(name, ConnectorStatus(name, "ABSENT", ()))
            settled = settled + 1 if status.running else 0
            failing = failing + 1 if status.failed else 0
            if failing == SETTLED_POLLS:
                raise ConnectError(status.failure)
            if settled < polls and time.monotonic() > deadline:
                raise ConnectError(
                    f"connector {name} is {status.connector}, its tasks {list(status.tasks)}, after {self._deadline_s:.0f} s:"
                    " look at Connect's log (a connector without tasks often waits for a replication slot or the previous worker's session;"
                    " one that stays RESTARTING has a task that hangs: restart Kafka Connect's process)"
                )
            if settled < polls:
                time.sleep(RETRY_PAUSE_S)

    def _call(self, method: str, path: str, body: object = None) -> httpx.Response:
        def ask() -> httpx.Response:
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                raise _NotNowError(f"{type(error).__name__}: {error}") from error
            if answer.is_success:
                return answer
            problem = f"{answer.status_code}: {_message(answer)}"
            if _passing(answer):
                raise _NotNowError(problem)
            raise ConnectError(f"Connect refused {method} {path}: {problem}")

        policy = Policy(first_s=RETRY_PAUSE_S, most_s=2.0, within_s=self._deadline_s)
        try:
            return retrying(policy, when=lambda error: isinstance(error, _NotNowError))(ask)
        except _NotNowError as last:
            raise ConnectAwayError(
                f"Connect at {self._http.base_url} did not serve {method} {path} within {self._deadline_s:.0f} s: {last}"
            ) from None


def _passing(answer: httpx.Response) -> bool:
    """Whether the answer may be another one soon: a rebalance (409), a resource not yet there at start-up (404), a server in trouble."""
    return answer.status_code in {404, 409} or answer.status_code >= 500


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:2000]


def _status(name: str, answer: Mapping[str, Any]) -> ConnectorStatus:
    parts = [answer["connector"], *answer["tasks"]]
    return ConnectorStatus(
        name=name,
        connector=answer["connector"]["state"],
        tasks=tuple(task["state"] for task in answer["tasks"]),
        traces=tuple(part["trace"] for part in parts if part.get("trace")),
    )
