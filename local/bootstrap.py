"""``python3 -m local.bootstrap [--browser] [--airflow]``: everything that the system needs on this machine. Standard library only.

First the system's packages that are missing, all in one call of apt (where we may). Then two lanes run side by side: the Java parts (Maven); the Python
environment (uv, pinned by hash, from a lock with hashes) and the front end's build. Where one lane fails, the other is stopped and the failure said at
once, and so it is at Ctrl-C. What is there already is left alone; a second run takes a second.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import fcntl
import hashlib
import importlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from local import commands, fetch, frontend, machine, paths
from local.servers import keycloak

LOCKS = paths.REPOSITORY / "locks"
STAMP = paths.VENV / ".installed"
AIRFLOW_LOCK = LOCKS / "airflow.txt"
# What an environment is made from, also where this runs out of one.
INTERPRETER = os.path.realpath(sys.executable)
ATTEMPTS = 3
LOCK_LIMIT_S = 3600
EXIT_INTERRUPTED = 130
# Another apt may run, of the system's own: it is waited for.
APT_OPTIONS = ("-o", "DPkg::Lock::Timeout=600", "--no-install-recommends")
PIP_TO_UV = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CERT": "SSL_CERT_FILE",
}
BEGAN = time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m local.bootstrap", description=__doc__)
    parser.add_argument("--browser", action="store_true", help="also what only tests need: Chromium, and veraPDF")
    parser.add_argument("--airflow", action="store_true", help="also Airflow, in an environment of its own")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        machine.check()
        with _alone():
            prepare(browser=options.browser, airflow=options.airflow)
    except KeyboardInterrupt:
        print("\nstopped; the next run goes on from here", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (machine.MachineError, fetch.FetchError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def prepare(*, browser: bool, airflow: bool = False) -> None:
    install_tools(machine.missing_tools(browser=browser))
    with ThreadPoolExecutor(max_workers=2) as lanes:
        try:
            commands.all_done([lanes.submit(_java_lane, tests=browser), lanes.submit(_python_lane, airflow=airflow)])
        except BaseException:
            # The other lane is ended too; a second Ctrl-C would only cut this short.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            commands.stop_all()
            raise


def report(line: str) -> None:
    print(f"[{time.monotonic() - BEGAN:4.0f} s] {line}", flush=True)


def _java_lane(*, tests: bool) -> None:
    fetch.fetch_all(report, tests=tests)
    keycloak.built(report)


def _python_lane(*, airflow: bool) -> None:
    install_environment()
    if airflow:
        install_airflow()
    frontend.build(report)


def install_tools(needs: list[machine.Need]) -> None:
    """Install what *needs* name, in one call of apt, and look whether it is there then. Raises RuntimeError that says what to do where it is not."""
    if not needs:
        return
    apt = shutil.which("apt-get") is not None
    if problem := machine.not_to_be_had(needs, machine.distribution()):
        raise RuntimeError(problem)
    if not paths.is_root() or not apt:
        raise RuntimeError(machine.sentence(needs, apt=apt))
    packages = [need.package for need in needs]
    report(f"installing {', '.join(packages)} with apt")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "-q", "update"], environment, attempts=ATTEMPTS)
    _run(["apt-get", "-q", "-y", *APT_OPTIONS, "install", *packages], environment)
    importlib.invalidate_caches()
    browser = any(need.package == "chromium" for need in needs)
    if left := machine.missing_tools(browser=browser):
        raise RuntimeError(f"after apt installed {', '.join(packages)}: {machine.sentence(left, apt=True)}")
    report(f"installed {', '.join(packages)}")


def install_environment() -> None:
    """Make ``.venv`` hold exactly ``locks/dev.txt`` and this project, editable. Does nothing where the lock is the installed one."""
    place, content = fingerprints()
    if is_installed(paths.VENV, place, content):
        return
    report("installing the Python environment")
    _synchronise(paths.VENV, LOCKS / "dev.txt", place)
    project = ["--no-deps", "--no-build-isolation", "--offline", "--editable", str(paths.REPOSITORY)]
    _run([str(uv()), "--quiet", "pip", "install", "--python", str(paths.PYTHON), *project], uv_variables())
    STAMP.write_text(f"{place} {content}", encoding="utf-8")
    report("the Python environment is ready")


def install_airflow() -> None:
    """Make ``.venv-airflow`` hold exactly ``locks/airflow.txt``: what Airflow pins touches nothing else. Does nothing where it is so."""
    place, content = fingerprints()[0], hashlib.sha256(AIRFLOW_LOCK.read_bytes()).hexdigest()
    if is_installed(paths.AIRFLOW_VENV, place, content):
        return
    report("installing Airflow")
    _synchronise(paths.AIRFLOW_VENV, AIRFLOW_LOCK, place)
    (paths.AIRFLOW_VENV / STAMP.name).write_text(f"{place} {content}", encoding="utf-8")
    report("Airflow is installed")


def is_installed(venv: Path, place: str, content: str) -> bool:
    """Whether the environment *venv* works and was made at *place* of *content* (see ``fingerprints``)."""
    return _stamp_of(venv) == [place, content] and _works(venv)


def _synchronise(venv: Path, lock: Path, place: str) -> None:
    """Make *venv* hold exactly what *lock* names. Its stamp is written by the caller, once everything is there."""
    program, environment = str(uv()), uv_variables()
    if not _works(venv) or _stamp_of(venv)[:1] != [place]:
        # Its scripts name the folder and the interpreter that they were made for: a renamed clone, another Python, a link that leads nowhere.
        discard(venv)
        _run([program, "venv", "--quiet", "--python", INTERPRETER, str(venv)], environment)
    # Compiled here, once: where nobody may write to it, or PYTHONDONTWRITEBYTECODE is set, every process would compile what it imports, a worker for three seconds.
    sync = ["sync", "--compile-bytecode", "--python", str(venv / "bin" / "python"), "--require-hashes", str(lock)]
    _run([program, "--quiet", "pip", *sync], environment, attempts=ATTEMPTS)


def _works(venv: Path) -> bool:
    return _succeeds([str(venv / "bin" / "python"), "-c", ""])


def _stamp_of(venv: Path) -> list[str]:
    stamp = venv / STAMP.name
    return stamp.read_text(encoding="utf-8").split() if stamp.exists() else []


def fingerprints() -> tuple[str, str]:
    """What changes with the repository's place and the interpreter; what changes with the lock and the project's description."""
    place = f"{paths.REPOSITORY}\0{INTERPRETER}\0{sys.version}".encode()
    content = b"\0".join([(LOCKS / "dev.txt").read_bytes(), (paths.REPOSITORY / "pyproject.toml").read_bytes()])
    return hashlib.sha256(place).hexdigest(), hashlib.sha256(content).hexdigest()


def discard(folder: Path) -> None:
    """Remove *folder*, or the link of that name but not what it leads to. Idempotent."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def pip_files(environment: Mapping[str, str]) -> list[Path]:
    """pip's configuration files, the one that counts most last."""
    home = Path(environment.get("HOME", "~")).expanduser()
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    named = environment.get("PIP_CONFIG_FILE")
    return [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip" / "pip.conf", user, *([Path(named)] if named else [])]


def pip_settings(files: Iterable[Path]) -> dict[str, str]:
    """What *files* say for ``pip install``, as the variables of pip's that mean the same. What cannot be read is left out, as pip does."""
    found: dict[str, str] = {}
    for section in ("global", "install"):
        for file in files:
            parser = configparser.RawConfigParser()
            with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
                parser.read(file, encoding="utf-8")
                options = parser.items(section) if parser.has_section(section) else []
                found |= {f"PIP_{name.replace('-', '_').upper()}": " ".join(value.split()) for name, value in options}
    return found


def uv_variables() -> dict[str, str]:
    """Our environment for uv."""
    return uv_environment(os.environ, pip_settings(pip_files(os.environ)))


def uv_environment(environment: Mapping[str, str], configured: Mapping[str, str]) -> dict[str, str]:
    """*environment* for uv, which reads neither pip's variables nor its files: where it has no setting of its own, pip's is taken over."""
    pips = dict(configured) | {name: value for name, value in environment.items() if name.startswith("PIP_")}
    # pip passes over a folder that is not there, uv gives up.
    links = [place for place in pips.get("PIP_FIND_LINKS", "").split() if "://" in place or Path(place).expanduser().exists()]
    pips["PIP_FIND_LINKS"] = ",".join(links)
    taken = {uv: pips[pip] for pip, uv in PIP_TO_UV.items() if pips.get(pip) and uv not in environment}
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
    """A pip that works: the interpreter's own, else one in a throw-away environment."""
    if _succeeds([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip"]
    tool = paths.cache() / "pip"
    _run([sys.executable, "-m", "venv", "--clear", str(tool)], os.environ)
    return [str(tool / "bin" / "python"), "-m", "pip"]


def _succeeds(command: list[str]) -> bool:
    try:
        return commands.run(command).returncode == 0
    except FileNotFoundError:
        return False


def _run(command: list[str], environment: Mapping[str, str], attempts: int = 1) -> None:
    delay_s = 2.0
    for attempt in range(1, attempts + 1):
        finished = commands.run(command, environment=environment)
        if finished.returncode == 0:
            return
        if attempt < attempts:
            report(f"{Path(command[0]).name} failed; again in {delay_s:.0f} s ({attempt} of {attempts})")
            commands.pause(delay_s)
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
