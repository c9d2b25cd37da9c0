"""``python3 -m local.bootstrap [--browser]``: everything that the system needs on this machine. Standard library only.

Two lanes run side by side: system tools (apt, where we may) and the Java parts (Maven); the Python environment (uv, pinned by hash,
from a lock with hashes) and the front end's build. What is there already is left alone; a second run takes a second.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from local import fetch, frontend, machine, paths
from local.servers import keycloak

LOCKS = paths.REPOSITORY / "locks"
STAMP = paths.VENV / ".installed"
ATTEMPTS = 3
COMMAND_LIMIT_S = 1200
LOCK_LIMIT_S = 1800
PIP_TO_UV = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX", "PIP_FIND_LINKS": "UV_FIND_LINKS"}
BEGAN = time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m local.bootstrap", description=__doc__)
    parser.add_argument("--browser", action="store_true", help="also Chromium, for the tests")
    options = parser.parse_args(arguments)
    try:
        machine.check()
        with _alone():
            prepare(browser=options.browser)
    except (machine.MachineError, fetch.FetchError, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def prepare(*, browser: bool) -> None:
    with ThreadPoolExecutor(max_workers=2) as lanes:
        java = lanes.submit(_java_lane, browser=browser)
        python = lanes.submit(_python_lane)
        python.result()
        java.result()


def report(line: str) -> None:
    print(f"[{time.monotonic() - BEGAN:4.0f} s] {line}", flush=True)


def _java_lane(*, browser: bool) -> None:
    install_tools(machine.missing_tools(browser=False))
    with ThreadPoolExecutor(max_workers=1) as beside:
        chromium = beside.submit(lambda: install_tools(machine.missing_tools(browser=browser)))
        fetch.fetch_all(report)
        keycloak.built(report)
        chromium.result()


def _python_lane() -> None:
    install_environment()
    frontend.build(report)


def install_tools(packages: list[str]) -> None:
    """Install Debian *packages*. Raises RuntimeError with what to do where we may not."""
    if not packages:
        return
    if not paths.is_root() or shutil.which("apt-get") is None:
        raise RuntimeError(
            f"missing on this machine: {', '.join(packages)}. Install them (with apt: sudo apt-get install {' '.join(packages)})."
        )
    report(f"installing {', '.join(packages)} with apt")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "-q", "update"], environment)
    _run(["apt-get", "-q", "-y", "--no-install-recommends", "install", *packages], environment)
    report(f"installed {', '.join(packages)}")


def install_environment() -> None:
    """Make ``.venv`` hold exactly ``locks/dev.txt`` and this project, editable. Does nothing where the lock is the installed one."""
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        return
    report("installing the Python environment")
    program = str(uv())
    environment = uv_environment(os.environ)
    if not paths.PYTHON.exists():
        _run([program, "venv", "--quiet", "--python", sys.executable, str(paths.VENV)], environment)
    pip = [program, "--quiet", "pip"]
    into = ["--python", str(paths.PYTHON)]
    _run([*pip, "sync", *into, "--require-hashes", str(LOCKS / "dev.txt")], environment, attempts=ATTEMPTS)
    _run([*pip, "install", *into, "--no-deps", "--no-build-isolation", "--offline", "--editable", str(paths.REPOSITORY)], environment)
    STAMP.write_text(wanted, encoding="utf-8")
    report("the Python environment is ready")


def fingerprint() -> str:
    """Changes with the lock, the project's description and the interpreter."""
    parts = [(LOCKS / "dev.txt").read_bytes(), (paths.REPOSITORY / "pyproject.toml").read_bytes(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def uv_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """*environment* for uv, which does not read pip's variables: where it has none of its own, pip's index is taken over."""
    taken = {uv: environment[pip] for pip, uv in PIP_TO_UV.items() if pip in environment and uv not in environment}
    return dict(environment) | taken | {"UV_NO_PROGRESS": "1", "UV_HTTP_TIMEOUT": environment.get("UV_HTTP_TIMEOUT", "180")}


def uv() -> Path:
    """uv at the pinned version, verified by hash, in the cache."""
    requirement = LOCKS / "bootstrap.txt"
    folder = paths.cache() / f"uv-{hashlib.sha256(requirement.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        install = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        _run([*_pip(), *install, "--target", str(partial), "-r", str(requirement)], os.environ, attempts=ATTEMPTS)
        partial.rename(folder)
    return folder / "bin" / "uv"


def _pip() -> list[str]:
    """A pip that works: the interpreter's own, else one in a throw-away environment (Debian: python3-venv)."""
    if _succeeds([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip"]
    tool = paths.cache() / "pip"
    if not _succeeds([sys.executable, "-m", "ensurepip", "--version"]):
        install_tools(["python3-venv"])
    _run([sys.executable, "-m", "venv", "--clear", str(tool)], os.environ)
    return [str(tool / "bin" / "python"), "-m", "pip"]


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def _run(command: list[str], environment: Mapping[str, str], attempts: int = 1) -> None:
    delay_s = 2.0
    for attempt in range(1, attempts + 1):
        finished = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_LIMIT_S, check=False, env=environment)
        if finished.returncode == 0:
            return
        if attempt < attempts:
            report(f"{Path(command[0]).name} failed; again in {delay_s:.0f} s ({attempt} of {attempts})")
            time.sleep(delay_s)
            delay_s *= 3
    raise RuntimeError(f"`{' '.join(command)}` ended with {finished.returncode}: {(finished.stderr or finished.stdout).strip()[-800:]}")


@contextmanager
def _alone() -> Iterator[None]:
    """One preparation at a time on this cache; a second one waits for the first."""
    with (paths.cache() / "bootstrap.lock").open("w") as lock:
        until = time.monotonic() + LOCK_LIMIT_S
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise RuntimeError(f"another preparation has held {lock.name} for {LOCK_LIMIT_S} s") from None
                if not told:
                    report("another preparation is running; waiting for it")
                    told = True
                time.sleep(0.5)
        yield


if __name__ == "__main__":
    sys.exit(main())
