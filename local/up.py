"""``make up``: the whole demo in the foreground, with a status line, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from enum import Enum
from pathlib import Path
from types import FrameType

from local import commands, machine, orphans, services, steps, supervision, system
from local.environments import secret_of
from local.instance import Instance, existing, open_instance
from local.launch import answers
from local.servers import airflow
from simulator.demo_data import USERS

STATUS_EVERY_S = 1.0
QUIET_STATUS_EVERY_S = 60.0

Report = Callable[[str], None]


def supervised(folder: Path, report: Report, *, with_airflow: bool = False) -> Instance:
    """The instance in *folder* with its supervisor running: the running one, or one started now."""
    if (folder / "instance.json").exists():
        instance = existing(folder)
        if supervision.is_running(instance):
            if with_airflow and not {state.name for state in supervision.states_of(instance)} >= set(airflow.NAMES):
                raise RuntimeError("it runs without Airflow: `make down`, then `make up AIRFLOW=1`")
            return instance
        left = orphans.end(instance)
        if left:
            report(f"ended {left} processes that an earlier run left behind")
    machine.check()
    instance, notes = open_instance(folder, usual_ports=folder.name == "default")
    for note in notes:
        report(note)
    servers = [server.program(instance) for server in system.SERVERS.values()]
    optional = airflow.programs(instance) if with_airflow else []
    supervision.start(instance, [*servers, *services.programs(instance), *optional])
    return instance


def up(folder: Path, report: Report, *, with_airflow: bool = False) -> int:
    """Start everything, tell where it is, and stay until told to end; then stop everything. 0 after a clean stop."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    began = time.monotonic()
    instance = supervised(folder, report, with_airflow=with_airflow)
    ended = Ended.BY_US
    try:
        servers = system.starting(instance, list(system.SERVERS), report)
        steps.run_all(steps.STEPS, instance, servers, report)
        page = instance.ports["bff"]
        system.await_program(instance, "bff", lambda: system.is_own(instance, page) and answers(f"{instance.page}/health/ready"), [page])
        if with_airflow:
            start_airflow(instance, servers, report)
        print(greeting(existing(folder), time.monotonic() - began, with_airflow=with_airflow), flush=True)
        ended = _stay(instance)
    except KeyboardInterrupt:
        print("\nstopping …", flush=True)
    except supervision.UNREACHABLE as error:
        ended = how_it_ended(instance)
        if ended is Ended.BY_US:
            raise RuntimeError(f"the supervisor does not answer: {error}; see {instance.logs / 'supervisord.log'}") from error
    finally:
        commands.stop_all()
        left = 0 if supervision.stop(instance) else orphans.end(instance)
    if ended is Ended.KILLED:
        print(
            f"\nerror: the supervisor was killed; the {left} processes that it left were ended too. `make up` starts again", file=sys.stderr
        )
        return 1
    print("\nstopped from elsewhere" if ended is Ended.ELSEWHERE else "stopped", flush=True)
    return 0


def start_airflow(instance: Instance, servers: Mapping[str, Future[None]], report: Report) -> None:
    """Start Airflow and wait until all of it is well."""
    steps.run_all(steps.AIRFLOW, instance, servers, report)
    port, began = instance.ports["airflow"], time.monotonic()
    system.await_program(instance, airflow.NAMES[0], lambda: system.is_own(instance, port) and airflow.ready(instance), [port])
    report(f"Airflow is ready after {time.monotonic() - began:.1f} s")


class Ended(Enum):
    """How an instance came to its end."""

    BY_US = "it runs, or we are about to stop it"
    ELSEWHERE = "somebody told its supervisor to stop"
    KILLED = "its supervisor was killed"


def how_it_ended(instance: Instance) -> Ended:
    """A supervisor that stops by itself removes its pid file last; one that was killed leaves it, and what it had started."""
    if supervision.is_running(instance):
        return Ended.BY_US
    pid = supervision.pid_of(instance)
    if pid is not None and supervision.wait_until(lambda: not supervision.alive(pid), supervision.STOP_LIMIT_S):
        return Ended.KILLED if supervision.pid_of(instance) is not None else Ended.ELSEWHERE
    return Ended.ELSEWHERE


def greeting(instance: Instance, seconds: float, *, with_airflow: bool = False) -> str:
    """The page's address and the logins, as printed once everything runs."""
    width = max(len(user.login) for user in USERS)
    logins = "\n".join(
        f"    {user.login:<{width}}  {instance.secrets[secret_of(user.login)]}  {instance.page}/auth/login?login_hint={user.login}"
        f"  {user.full_name} ({user.role})"
        for user in USERS
    )
    scheduled = (
        f"  Airflow   http://localhost:{instance.ports['airflow']} as {airflow.LOGIN} with {instance.secrets['airflow_login']}\n"
        if with_airflow
        else ""
    )
    return (
        f"\n  BionicPRO Reports is up after {seconds:.0f} s\n\n  page      {instance.page}\n"
        f"  Keycloak  {instance.keycloak_url} (its administrator's password is in {instance.folder / 'secrets.json'})\n"
        f"{scheduled}  logs      {instance.logs}\n\n  logins\n{logins}\n\n  Ctrl-C stops everything.\n"
    )


def status_line(states: list[supervision.ProcessState]) -> str:
    """``11 of 12 parts run; connect: BACKOFF``."""
    wrong = [state for state in states if state.state != "RUNNING"]
    text = f"{len(states) - len(wrong)} of {len(states)} parts run"
    return text + "".join(f"; {state.name}: {_stands(state)}" for state in wrong)


def _stands(state: supervision.ProcessState) -> str:
    if not state.stays_down:
        return state.state
    return (
        f"stays down until somebody decides (`bionicpro status` and logs/{state.name}.log say why); start: python -m local run {state.name}"
    )


def _stay(instance: Instance) -> Ended:
    """Show the state until the instance is stopped from elsewhere or killed; which it was."""
    last, told_at = "", 0.0
    terminal = sys.stdout.isatty()
    while supervision.is_running(instance):
        line = status_line(supervision.states_of(instance))
        if terminal:
            print(f"\r\033[K  {time.strftime('%H:%M:%S')}  {line}", end="", flush=True)
        elif line != last or time.monotonic() - told_at > QUIET_STATUS_EVERY_S:
            print(f"  {time.strftime('%H:%M:%S')}  {line}", flush=True)
            told_at = time.monotonic()
        last = line
        time.sleep(STATUS_EVERY_S)
    return how_it_ended(instance)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
