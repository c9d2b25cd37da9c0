"""supervisord: the programs it is told of, and talking to it over its Unix socket."""

from __future__ import annotations

import http.client
import os
import signal
import stat
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from local import paths
from local.instance import Instance, write_private
from local.progress import WHOLE_S, Patience, sign
from local.servers.program import Program
from service_kit.loopback import without_proxy
from service_kit.settings import EXIT_BAD_SETTINGS

STOP_LIMIT_S = 600  # more than all programs together may take to stop
LAST_WORDS = 400
# Killed in the middle of an answer it leaves half of one.
UNREACHABLE = (OSError, xmlrpc.client.Error, http.client.HTTPException)
ACTIVE = {"RUNNING", "STARTING", "BACKOFF"}


@dataclass(frozen=True)
class ProcessState:
    """``state`` is supervisord's word (RUNNING, BACKOFF, FATAL, …); ``pid`` 0 while there is none; ``exit_code`` of its last end."""

    name: str
    state: str
    pid: int
    detail: str
    exit_code: int = 0

    @property
    def stays_down(self) -> bool:
        """Whether it ended because somebody has to decide: starting it again would not help."""
        return self.state == "EXITED" and self.exit_code == EXIT_BAD_SETTINGS


def configuration(instance: Instance, programs: Iterable[Program]) -> str:
    head = instance.render(
        "supervisord.conf", socket=instance.socket, folder=instance.folder, logs=instance.logs, identifier=instance.identifier
    )
    return head + "".join(section(program, instance.logs) for program in programs)


def section(program: Program, logs: Path) -> str:
    """One ``[program:…]`` of supervisord.conf: restarted whenever it ends, but for an end that wants a decision; its output in one rotated log."""
    lines = {
        "command": " ".join(_quoted(part) for part in program.command),
        "directory": str(program.directory),
        "autostart": "false",
        "autorestart": "unexpected",
        "exitcodes": str(EXIT_BAD_SETTINGS),
        "startsecs": "1",
        "startretries": "20",
        "stopsignal": program.stop_signal,
        "stopwaitsecs": str(program.stop_wait_s),
        "killasgroup": "true",
        "priority": str(program.priority),
        "redirect_stderr": "true",
        "stdout_logfile": str(logs / f"{program.name}.log"),
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": "2",
    }
    if program.user is not None:
        lines["user"] = program.user
    if program.environment:
        lines["environment"] = ",".join(f"{name}={_quoted(value)}" for name, value in program.environment.items())
    return f"\n[program:{program.name}]\n" + "".join(f"{key} = {value.replace('%', '%%')}\n" for key, value in lines.items())


def start(instance: Instance, programs: Iterable[Program]) -> int:
    """Start supervisord with *programs* known and none of them running; its process id. It lives on when we end."""
    _own_folder(instance.socket.parent)
    file = instance.config("supervisord.conf")
    write_private(file, configuration(instance, programs))
    command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(file)]
    pid = _spawn(command, instance.logs / "supervisord.out", instance.held.descriptors if instance.held else ())
    if instance.held:
        instance.held.release()
    log = instance.logs / "supervisord.out"
    patience = Patience(time.monotonic())
    hopeless = lambda: not alive(pid) or bool(patience.exhausted(time.monotonic(), sign(pid, [log])))  # noqa: E731
    if not wait_until(lambda: is_running(instance), WHOLE_S, hopeless):
        raise RuntimeError(f"the supervisor did not start; see {log}{last_words(log)}")
    return pid


def _own_folder(folder: Path) -> None:
    """Make *folder*; one that is there must be ours alone to write. Raises RuntimeError: below a shared /tmp somebody else may have made it first."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RuntimeError(f"{folder} belongs to somebody else or may be written by others: remove it and start again")


def _spawn(command: list[str], log: Path, inherited: Sequence[int]) -> int:
    """Start *command* in a session of its own, so that a Ctrl-C at our terminal does not reach it, with the descriptors *inherited*; its process id."""
    output = (os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in inherited:
        os.set_inheritable(descriptor, True)
    before = os.umask(0o077)  # inherited by every program: what they write is their owner's alone
    try:
        return os.posix_spawn(
            command[0],
            command,
            os.environ | paths.LOCALE | without_proxy(os.environ),
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), *output),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )
    finally:
        os.umask(before)


def is_running(instance: Instance) -> bool:
    try:
        with _supervisor(instance) as supervisor:
            return bool(supervisor.getState()["statename"] == "RUNNING")
    except UNREACHABLE:
        return False


def start_programs(instance: Instance, names: Iterable[str]) -> None:
    """Ask for *names* to be started, without waiting; one that runs already is left alone."""
    states = {state.name: state.state for state in states_of(instance)}
    with _supervisor(instance) as supervisor:
        for name in names:
            if states[name] not in ACTIVE:
                with _unless(Faults.ALREADY_STARTED):
                    supervisor.startProcess(name, False)


def stop_programs(instance: Instance, names: Iterable[str]) -> None:
    """Stop *names*, waiting for each; one that does not run is left alone."""
    states = {state.name: state.state for state in states_of(instance)}
    with _supervisor(instance) as supervisor:
        for name in names:
            if states[name] in ACTIVE:
                with _unless(Faults.NOT_RUNNING):
                    supervisor.stopProcess(name, True)


@contextmanager
def _unless(code: int) -> Iterator[None]:
    """Leave out the refusal *code*: the program's state has changed since it was asked for."""
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != code:
            raise


def states_of(instance: Instance) -> list[ProcessState]:
    with _supervisor(instance) as supervisor:
        answers = supervisor.getAllProcessInfo()
    return [ProcessState(one["name"], one["statename"], one["pid"], one["description"], one["exitstatus"]) for one in answers]


def state_of(instance: Instance, name: str) -> ProcessState:
    return next(state for state in states_of(instance) if state.name == name)


def last_words(log: Path) -> str:
    """The last line of *log*, to stand behind a message; empty where there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:].strip().splitlines()
    except OSError:
        return ""
    return f". Its last line: {lines[-1].strip()}" if lines else ""


def stop(instance: Instance) -> bool:
    """Stop every program and the supervisor; False if none ran. Only what this instance's supervisor started is touched."""
    pid = pid_of(instance)
    if pid is None or not is_running(instance):
        return False
    with _supervisor(instance) as supervisor:
        supervisor.shutdown()
    if not wait_until(lambda: not alive(pid), STOP_LIMIT_S):
        os.kill(pid, signal.SIGKILL)
        raise RuntimeError(f"the supervisor (process {pid}) did not stop within {STOP_LIMIT_S} s and was killed")
    return True


def pid_of(instance: Instance) -> int | None:
    """The process id that the supervisor wrote down; None once it has ended by itself, or where it never ran."""
    try:
        return int((instance.folder / "supervisord.pid").read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None


def alive(pid: int) -> bool:
    """Whether process *pid* runs; one that has ended and only awaits its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], limit_s: float, hopeless: Callable[[], bool] = lambda: False) -> bool:
    """Whether *condition* came true within *limit_s*; gives up at once when *hopeless* does."""
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until or hopeless():
            return False
        time.sleep(0.1)
    return True


@contextmanager
def _supervisor(instance: Instance) -> Iterator[Any]:
    transport = SupervisorTransport("", "", f"unix://{instance.socket}")
    try:
        yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
    finally:
        transport.close()


def _quoted(part: str) -> str:
    """*part* as supervisord's shell-like splitting reads it back."""
    if part and all(character.isalnum() or character in "_-./:=@+,*" for character in part):
        return part
    return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
