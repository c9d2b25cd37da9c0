"""What a start does between servers and services. Every step can be repeated; a new one is a line in STEPS."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pydantic import SecretStr

from bff.demo_users import MASTER
from local import commands, paths, supervision
from local.attempts import LAST_WORDS, Failure, failing, until_done
from local.environments import secret_of
from local.instance import Instance, ensure_secrets, write_private
from local.servers import airflow
from local.servers.keycloak import REALM
from local.servers.postgres import SUPERUSER
from service_kit import environment_files
from simulator.demo_data import USERS
from simulator.sources import migrate
from simulator.sources.roles import ROLES

EXIT_AWAY = 69  # a server does not answer
EXIT_BAD_SETTINGS = 78

Report = Callable[[str], None]


class StepError(Exception):
    """A step failed; the message names it and holds its last words."""


@dataclass(frozen=True)
class Step:
    """``run`` once the servers ``needs`` are ready."""

    name: str
    needs: tuple[str, ...]
    run: Callable[[Instance], None]


def run_all(steps: tuple[Step, ...], instance: Instance, servers: Mapping[str, Future[None]], report: Report) -> None:
    """Run *steps* in order, each as soon as its servers are ready. Raises StepError, or what kept a server from being ready."""
    for step in steps:
        commands.all_done([servers[need] for need in step.needs])
        began = time.monotonic()
        step.run(instance)
        report(f"{step.name}: {time.monotonic() - began:.1f} s")


def migrate_sources(instance: Instance) -> None:
    superuser = {
        "host": "127.0.0.1",
        "port": instance.ports["postgres"],
        "user": SUPERUSER,
        "password": instance.secrets["postgres"],
    }
    passwords = {role.name: SecretStr(instance.secrets[role.name]) for role in ROLES}
    if failure := until_done(lambda: failing(lambda: migrate.apply(superuser, passwords), psycopg.Error)):
        raise StepError(f"the migrations of the source databases {failure.words}")


def ensure_users(instance: Instance) -> None:
    """The demo's logins in Keycloak, each with a password of its own, made at first start."""
    passwords = ensure_secrets(instance.folder, [secret_of(user.login) for user in USERS])
    users = [
        {
            "user_id": str(user.user_id),
            "username": user.login,
            "email": user.email,
            "first_name": user.full_name.partition(" ")[0],
            "last_name": user.full_name.partition(" ")[2],
            "password": passwords[secret_of(user.login)],
            "roles": [user.role],
        }
        for user in USERS
    ]
    text = json.dumps(users, ensure_ascii=False)
    file, done = instance.config("demo-users.json"), instance.config("demo-users.done")
    digest = hashlib.sha256((text + json.dumps(MASTER)).encode()).hexdigest()
    if done.exists() and done.read_text(encoding="utf-8") == digest:
        return  # setting ten passwords again would cost Keycloak seconds at every start
    write_private(file, text)
    python("-m", "bff.demo_users", "--users", str(file), env="keycloak")(instance)
    write_private(done, digest)


def python(*arguments: str, env: str) -> Callable[[Instance], None]:
    """A step that runs our interpreter with *arguments* and the variables of the process *env*; its output goes to ``logs/steps.log``."""

    def run(instance: Instance) -> None:
        variables = environment_files.read(instance.env_file(env))

        def attempt() -> Failure | None:
            code, words = _logged([sys.executable, *arguments], variables, instance.logs / "steps.log")
            told = f"ended with {code}: {words.strip()[-LAST_WORDS:]}"
            return Failure(told, away=code == EXIT_AWAY, final=code == EXIT_BAD_SETTINGS) if code else None

        if failure := until_done(attempt):
            raise StepError(f"`{' '.join(arguments)}` {failure.words}")

    return run


def _logged(command: Sequence[str], variables: Mapping[str, str], file: Path) -> tuple[int, str]:
    """The exit code of *command*, and what it wrote; that is appended to *file*. Raises StuckError where it makes no progress."""
    file.touch(mode=0o600)
    with file.open("a+", encoding="utf-8") as log:
        began = log.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            command, cwd=paths.REPOSITORY, env=os.environ | variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            commands.wait(process, command[-1], [log.fileno()])
        except BaseException:
            commands.end(process)
            raise
        log.seek(began)
        return process.returncode, log.read()


def migrate_airflow(instance: Instance) -> None:
    """Airflow's database, account, tables, settings and login."""
    if not airflow.COMMAND.exists():
        raise StepError("Airflow is not installed: `make up AIRFLOW=1` does it")
    airflow.write_environments(instance)
    if failure := until_done(lambda: failing(lambda: airflow.make_database(instance), psycopg.Error)):
        raise StepError(f"Airflow's database {failure.words}")
    code, words = _logged([str(airflow.COMMAND), "db", "migrate"], airflow.settings(instance), instance.logs / "airflow-migrations.log")
    if code:
        raise StepError(f"`airflow db migrate` ended with {code}: {words.strip()[-LAST_WORDS:]}")


def bionicpro(*arguments: str, env: str) -> Callable[[Instance], None]:
    return python("-m", "cli", *arguments, env=env)


def start(*names: str) -> Callable[[Instance], None]:
    """A step that starts services, without waiting."""
    return lambda instance: supervision.start_programs(instance, names)


PIPE: tuple[Step, ...] = (
    Step("source databases", ("postgres",), migrate_sources),
    Step("ClickHouse schema", ("clickhouse",), bionicpro("schema", "migrate", env="migrator")),
    Step("topics", ("kafka",), bionicpro("topics", "apply", env="operator")),
    Step("connectors", ("connect",), bionicpro("connectors", "apply", env="operator")),
)
SIMULATOR_STARTED = Step("simulator started", (), start("simulator"))
DEMO: tuple[Step, ...] = (
    Step("processor, eraser, watch and reports service started", (), start("processor", "eraser", "watch", "reports-api")),
    Step("90 days of history", (), python("-m", "simulator", "load-demo", env="simulator")),
    SIMULATOR_STARTED,
    Step("demo logins", ("keycloak",), ensure_users),
    Step("realm's settings", ("keycloak",), python("-m", "bff.realm_settings", "--realm", str(REALM), env="keycloak")),
    Step("page started", ("redis",), start("bff")),
)
STEPS = PIPE + DEMO
AIRFLOW: tuple[Step, ...] = (
    Step("Airflow's records", ("postgres",), migrate_airflow),
    Step("Airflow started", (), start(*airflow.NAMES)),
)
