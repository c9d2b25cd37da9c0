"""``make up`` and its companions, as a person at a terminal meets them: ends from elsewhere, a killed supervisor, nothing set up, no terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import __main__ as local
from local import paths, supervision
from local.instance import Instance, existing, open_instance
from tests.support.waiting import PATIENCE_S

# Everything of `make up` but for the servers and steps that this is not about.
UP = """
import sys
from local import __main__ as local, steps, system
starting, await_program = system.starting, system.await_program
system.starting = lambda instance, names, report: starting(instance, ["redis"], report)
system.await_program = lambda instance, name, *of: None if name == "bff" else await_program(instance, name, *of)
steps.STEPS = (steps.Step("Redis alone", ("redis",), lambda instance: None),)
local.up.greeting = lambda *_, **__: "is up"
sys.exit(local.main(["up", "--instance", sys.argv[1]]))
"""


@contextmanager
def up(folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """``make up`` with Redis alone, once it is up."""
    command = [sys.executable, "-c", UP, str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=paths.REPOSITORY, env=os.environ | environment
    ) as running:
        try:
            assert running.stdout is not None
            assert any("is up" in line for line in running.stdout), running.communicate()
            yield running
        finally:
            if running.poll() is None:
                running.terminate()
            running.wait(120)


def processes_of(instance: Instance) -> list[int]:
    return [state.pid for state in supervision.states_of(instance) if state.pid]


def test_a_supervisor_that_was_killed_is_said_and_what_it_left_is_ended(tmp_path: Path) -> None:
    proxy = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "example.org", "NO_PROXY": ""}
    with up(tmp_path / "one", **proxy) as running:
        instance = existing(tmp_path / "one")
        supervisor, left = supervision.pid_of(instance), processes_of(instance)
        assert supervisor is not None
        assert left
        # All that runs inherits it: loopback never goes through a proxy, whatever was set.
        inherited = Path(f"/proc/{supervisor}/environ").read_bytes().split(b"\0")
        assert b"no_proxy=example.org,127.0.0.1,localhost,::1" in inherited
        os.kill(supervisor, signal.SIGKILL)
        _, errors = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 1
    assert re.search(r"the supervisor was killed; the [1-9]\d* processes that it left were ended too", errors)
    assert "Traceback" not in errors
    assert not any(supervision.alive(pid) for pid in left)


@pytest.mark.parametrize("how", ["make down", "Ctrl-C"])
def test_a_clean_end_leaves_nothing_and_is_no_error(how: str, tmp_path: Path) -> None:
    with up(tmp_path / "one") as running:
        left = processes_of(existing(tmp_path / "one"))
        if how == "Ctrl-C":
            running.send_signal(signal.SIGINT)
        else:
            assert local.main(["stop", "--instance", str(tmp_path / "one")]) == 0
        said, errors = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, errors) == (0, "")
    assert ("stopped from elsewhere" in said) == (how == "make down")
    assert not any(supervision.alive(pid) for pid in left)


@pytest.mark.parametrize("target", ["down", "reset"])
def test_what_stops_or_forgets_says_how_to_begin_before_any_set_up(target: str, tmp_path: Path) -> None:
    finished = subprocess.run(
        ["make", "--no-print-directory", "-f", str(paths.REPOSITORY / "Makefile"), target],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert finished.returncode == 2
    assert finished.stdout.strip() == "nothing is set up here: run make up"


def test_what_was_set_up_and_never_started_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert local.main(["stop", "--instance", str(tmp_path / "one")]) == 1
    assert "it was never started. Run `make up`" in capsys.readouterr().err
    assert local.main(["reset", "--instance", str(tmp_path / "one")]) == 0


def test_status_without_settings_says_how_to_begin(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BIONICPRO_")}
    finished = subprocess.run(
        [sys.executable, "-m", "cli", "status"],
        cwd=tmp_path, env=clean | {"PYTHONPATH": str(paths.REPOSITORY)}, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert finished.returncode == 78
    assert "Run `make up`" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_reset_without_a_terminal_deletes_nothing_and_says_how(tmp_path: Path) -> None:
    held = open_instance(tmp_path / "one", usual_ports=False)[0].held
    assert held is not None
    held.release()
    command = [sys.executable, "-m", "local", "reset", "--instance", str(tmp_path / "one")]
    finished = subprocess.run(
        command, cwd=paths.REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert finished.returncode == 1
    assert "`make reset YES=1` does not ask" in finished.stderr
    assert (tmp_path / "one" / "secrets.json").exists()
    assert subprocess.run([*command, "--yes"], cwd=paths.REPOSITORY, capture_output=True, timeout=PATIENCE_S, check=False).returncode == 0
    assert not (tmp_path / "one").exists()
