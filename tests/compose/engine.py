"""The container engine and Compose, by their commands: every call has a deadline, every failure says what was called."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service_kit.environment_files import parsed

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "deploy" / "compose.yml"
CALL_LIMIT_S = 900.0
# docker-compose 1.29 gives up an engine that is busy for a minute.
PATIENT = {"COMPOSE_HTTP_TIMEOUT": "900", **os.environ}
LAST_LINES = 25


class TrialError(Exception):
    """What did not go as it should, in words."""


def compose_command() -> tuple[str, ...]:
    """Compose as the engine's plugin, else the program that came before it. Raises `TrialError` where there is neither."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ("docker", "compose")
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    raise TrialError("neither `docker compose` nor `docker-compose` is installed")


def called(
    *command: str, limit_s: float = CALL_LIMIT_S, input_text: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command, input=input_text, capture_output=True, text=True, timeout=limit_s, check=False, cwd=REPOSITORY, env=PATIENT
        )
    except subprocess.TimeoutExpired as expired:
        raise TrialError(f"{' '.join(command)}: no end within {limit_s:g} s\n{_last(expired.stdout)}\n{_last(expired.stderr)}") from None
    if check and done.returncode != 0:
        raise TrialError(f"{' '.join(command)}: exit code {done.returncode}\n{_last(done.stdout)}\n{_last(done.stderr)}")
    return done


def _last(text: str | bytes | None) -> str:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else (text or "")
    return "\n".join(shown.splitlines()[-LAST_LINES:])


@dataclass(frozen=True)
class Project:
    """A Compose project of *name* with the variables of *env_file*; *profiles* name what is started and stopped with the rest."""

    compose: tuple[str, ...]
    name: str
    env_file: Path
    profiles: tuple[str, ...] = ()

    def call(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        chosen = [part for profile in self.profiles for part in ("--profile", profile)]
        named = ("--project-name", self.name, "--file", str(FILE), "--env-file", str(self.env_file))
        return called(*self.compose, *named, *chosen, *arguments, **options)

    def containers(self) -> Mapping[str, Mapping[str, Any]]:
        """What the engine says of each service's container."""
        ids = called("docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.name}").stdout.split()
        if not ids:
            return {}
        told = json.loads(called("docker", "inspect", *ids).stdout)
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in told if not _is_one_off(each)}

    def shown(self) -> list[str]:
        """The services of which the engine shows a secret to whoever may ask it."""
        known = parsed(self.env_file.read_text(encoding="utf-8"))
        secrets = [value for name, value in known.items() if name.startswith(("BIONICPRO_SECRET_", "BIONICPRO_DEMO_"))]
        return sorted(service for service, told in self.containers().items() if any(secret in json.dumps(told) for secret in secrets))

    def memory(self) -> dict[str, int]:
        """MiB that each running container holds, without files that it has read and that could be read again."""
        running = {told["Id"]: service for service, told in self.containers().items() if told["State"]["Status"] == "running"}
        lines = called("docker", "stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.MemUsage}}", *running).stdout.splitlines()
        return {running[words[0]]: mebibytes(words[1]) for words in (line.split() for line in lines)}

    def crash(self, service: str) -> None:
        """End the first process of *service*'s container as an out-of-memory kill would: the engine is not told that somebody meant it."""
        pid = int(self.containers()[service]["State"]["Pid"])
        if pid <= 1:
            raise TrialError(f"{service} does not run")
        os.kill(pid, signal.SIGKILL)

    def wait_healthy(self, limit_s: float, told: Callable[[str], None], *, without: Collection[str] = ()) -> None:
        """Wait until what has a health check is healthy, what stays runs, and the steps have ended well, *without* those services. Raises `TrialError`."""
        until, said = time.monotonic() + limit_s, 0.0
        while waiting := {name: state for name, each in self._others(without).items() if (state := _state(each)) is not None}:
            if time.monotonic() > until:
                raise TrialError(f"not ready within {limit_s:g} s: {waiting}")
            if time.monotonic() - said > 20:
                told(f"waiting for {', '.join(f'{name} ({state})' for name, state in sorted(waiting.items()))}")
                said = time.monotonic()
            time.sleep(2)

    def _others(self, without: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        return {name: each for name, each in self.containers().items() if name not in without}

    def network(self, name: str) -> str:
        return f"{self.name}_{name}"


def mebibytes(told: str) -> int:
    """Of a size as the engine writes it: ``512.5MiB``."""
    number = told.rstrip("KMGTiB")
    return round(float(number) * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}.get(told.removeprefix(number), 0))


def _is_one_off(container: Mapping[str, Any]) -> bool:
    return str(container["Config"]["Labels"].get("com.docker.compose.oneoff", "")).lower() == "true"


def _state(container: Mapping[str, Any]) -> str | None:
    """What *container* still lacks; None where it is as it should be."""
    state = container["State"]
    if container["HostConfig"]["RestartPolicy"]["Name"] in ("", "no"):
        return None if state["Status"] == "exited" and state["ExitCode"] == 0 else f"{state['Status']}, exit code {state['ExitCode']}"
    if state["Status"] != "running":
        return str(state["Status"])
    health = state.get("Health", {}).get("Status", "healthy")
    return None if health == "healthy" else str(health)
