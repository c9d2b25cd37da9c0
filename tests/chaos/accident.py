"""Carries a loss out: what an administrator does to a server, what `status` says of it, and the commands that it names, run as an operator runs them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from clickhouse_driver.errors import Error as ClickHouseError

from cli.broker import Broker
from cli.generations import serving_group
from cli.status.gather import gather
from cli.status.judge import problems
from cli.status.probes import probes
from cli.status.settings import StatusSettings
from connectors.checks import Checks
from local.servers.postgres import SUPERUSER
from reconciliation.settings import ReconciliationSettings
from schemas.generations import RETIRED, database_of
from schemas.keys import LOG_TOPIC
from schemas.topics import log_partitions
from service_kit.generations import read_generations, serving
from service_kit.partition_progress import read_handled
from service_kit.settings import load
from tests.chaos import small_disk
from tests.chaos.lane import Lane
from tests.chaos.losses import Loss
from tests.chaos.owner import NotYetError
from tests.chaos.workers import REPOSITORY, Workers
from tests.chaos.workload import Operation, Plan
from tests.support import server_data
from tests.support.losses import expire
from tests.support.operator import commands_in

GROUP = "bionicpro-processor"
COMMAND_LIMIT_S = 300.0
UNREAD_S = 2.5  # of heartbeats at least something comes in so long
LAG_S = 4.0  # less than a session less a heartbeat would be too little for what is done meanwhile: a worker that ends for that finds the same when it is started
# What a lane has not, and what other faults leave behind; sources where no watch runs.
WITHOUT = ("reports-api", "bff", "keycloak", "processor", "dead-letters")
# For a busy machine.
STATUS_SETTINGS = {"BIONICPRO_STATUS__DEADLINE_S": "20"}
REBUILD_SETTINGS = {"BIONICPRO_REBUILD__HANDOVER_S": "180"}


class Accident:
    """One loss of a schedule. *operations* may be tried again after NotYetError and the errors of broken connections. One thread."""

    def __init__(self, loss: Loss, lane: Lane, workers: Workers, plan: Plan, settings: ReconciliationSettings) -> None:
        self.loss = loss
        self._lane = lane
        self._workers = workers
        self._plan = plan
        self._settings = settings
        self._broker = Broker(settings.kafka)
        with mock.patch.dict(os.environ, lane.operator_variables() | STATUS_SETTINGS):
            self._status = load(StatusSettings)
        self._backed_up: datetime | None = None
        self._handled: dict[int, int] = {}
        self._expired: dict[int, int] = {}
        self._lost_at: float | None = None
        self._restored = False
        self._rules: list[tuple[Any, ...]] = []
        self._gone: list[int] = []
        self._left: list[str] | None = None
        self.named = ""
        """The line of `status`."""
        self.healed_s: float | None = None
        """From the loss until the last of the commands was done; without commands, until the server had room again and answered."""

    def do(self, operation: Operation) -> None:
        """Raises NotYetError and psycopg's and Kafka's errors where it has to be tried again; AssertionError where `status` does not name what is expected."""
        steps = {
            "back up": self._back_up,
            "lose": self._lose,
            "see": self._see,
            "make room": self._make_room,
            "heal": self._heal,
            "well": self._well,
        }
        try:
            steps[operation.what]()
        except (ClickHouseError, EOFError, subprocess.TimeoutExpired) as error:
            raise NotYetError(f"{operation.what}: {error}") from error

    # -- before ---------------------------------------------------------------------------------------------------------

    def _back_up(self) -> None:
        if self.loss.server == "postgres":
            self._require_people()
            self._lane.start_watch()
            with self._superuser("postgres") as connection:  # as an archive does: what is written from now on is kept
                connection.execute("ALTER SYSTEM SET wal_keep_size = '2GB'")
                connection.execute("SELECT pg_reload_conf()")
        else:
            self._handled = self._handled_now()
        with self._lane.stopped(self.loss.server) as data:
            server_data.save(data)
        self._backed_up = datetime.now(UTC)

    def _require_people(self) -> None:
        """Contracts to come refer to them."""
        with self._superuser("crm") as connection:
            query = "SELECT (SELECT count(*) FROM crm.prostheses WHERE prosthesis_id = ANY(%s)) + (SELECT count(*) FROM crm.customers WHERE customer_id = ANY(%s))"
            ((count,),) = connection.execute(query, (self._plan.prostheses, self._plan.customers)).fetchall()
        if count < len(self._plan.prostheses) + len(self._plan.customers):
            raise NotYetError("the plan's people are not all in the CRM")

    # -- the loss -------------------------------------------------------------------------------------------------------

    def _lose(self) -> None:
        match self.loss.what:
            case "expire":
                self._expire()
            case "fill":
                with self._lane.stopped(self.loss.server) as data:
                    small_disk.put_under(data)
                small_disk.fill(self._data)
            case _ if self.loss.server == "clickhouse":
                self._restore_clickhouse()
            case _:
                self._restore_postgres()
        self._lost_at = self._lost_at or time.monotonic()

    def _expire(self) -> None:
        if self._workers.down:
            return
        if not self._committed():
            raise NotYetError("nothing was read yet")
        lagging = self.loss.workers == "lagging"
        if not lagging:
            self._workers.stop()
        for slot in self._workers.wanted if lagging else ():
            self._workers.freeze(slot, LAG_S)
        time.sleep(UNREAD_S)
        ends = self._broker.topics([LOG_TOPIC])[LOG_TOPIC].ends
        # One is none: it may be the marker of a transaction.
        unread = [p for p, offset in self._committed().items() if offset < ends[p] - 1]
        if not unread or (lagging and not self._workers.all_frozen):
            self._workers.resume()
            raise NotYetError(f"unread partitions: {unread}")
        self._expired = expire(self._broker, LOG_TOPIC)
        if not lagging:
            self._workers.resume()
        elif not self._workers.all_frozen:
            raise NotYetError("a worker went on too early: it may have had what expired")

    def _records_came_back(self) -> bool:
        """Kafka notes once a minute where a log begins (log.flush.start.offset.checkpoint.interval.ms): killed before that it has again what had been deleted."""
        starts = self._broker.topics([LOG_TOPIC])[LOG_TOPIC].starts
        return any(starts[partition] < start for partition, start in self._expired.items())

    def _restore_clickhouse(self) -> None:
        if self.loss.workers == "down":
            self._workers.stop()
        if not self._restored:
            if all(offset <= self._handled.get(p, -1) + 1 for p, offset in self._committed().items()):
                self._workers.resume()
                raise NotYetError("nothing was handled since the backup")
            self._rules = self._erasure_rules()
            with self._lane.stopped("clickhouse") as data:
                server_data.restore(data)
                self._restored = True
        with self._lane.migrator() as client:  # docs/erasure.md, What stays
            if self._rules:
                client.execute("INSERT INTO erasure_rules VALUES", self._rules)
        self._workers.resume()

    def _erasure_rules(self) -> list[tuple[Any, ...]]:
        with self._lane.migrator() as client:
            rows: list[tuple[Any, ...]] = client.execute("SELECT * FROM erasure_rules FINAL")
        return rows

    def _restore_postgres(self) -> None:
        if not self._restored:
            self._show_the_watch_a_later_position()
            self._gone = self._deleted_customers()
            with self._lane.stopped("postgres") as data:
                if self.loss.what == "recover":
                    self._keep_archive(data)
                server_data.restore(data)
                self._restored = True
                if self.loss.what == "recover":
                    self._ask_for_recovery(data)
        with self._superuser("crm") as connection:  # docs/erasure.md, What stays: who was deleted is deleted there too
            connection.execute("DELETE FROM crm.contracts WHERE customer_id = ANY(%s)", (self._gone,))
            connection.execute("DELETE FROM crm.customers WHERE customer_id = ANY(%s)", (self._gone,))

    def _show_the_watch_a_later_position(self) -> None:
        """As after hours: what is written within seconds of the restore must not pass it."""
        with self._superuser("telemetry") as connection:
            ((before,),) = connection.execute("SELECT pg_switch_wal() - '0/0'::pg_lsn").fetchall()
        deadline = time.monotonic() + COMMAND_LIMIT_S
        while self._watched_position() <= before:
            if time.monotonic() > deadline:
                raise NotYetError("the watch has not seen the source")
            time.sleep(0.2)

    def _watched_position(self) -> int:
        with self._lane.migrator() as client:
            checks = Checks(client)
            check = checks.last(checks.serving()).get("telemetry")
        return check.identity.lsn if check and check.identity else 0

    def _deleted_customers(self) -> list[int]:
        with self._superuser("crm") as connection:
            rows = connection.execute(
                "SELECT customer_id FROM crm.customers WHERE customer_id = ANY(%s)", (self._plan.customers,)
            ).fetchall()
        return sorted(set(self._plan.customers) - {row[0] for row in rows})

    def _keep_archive(self, data: Path) -> None:
        server_data.remove(_archive(data))
        server_data.copy(data / "pg_wal", _archive(data))

    def _ask_for_recovery(self, data: Path) -> None:
        """To the middle between the backup and now, as an administrator does who knows when the mistake was made."""
        assert self._backed_up is not None
        target = self._backed_up + (datetime.now(UTC) - self._backed_up) / 2
        settings = {
            "restore_command": f'cp "{_archive(data)}/%f" "%p"',
            "recovery_target_time": f"{target:%Y-%m-%d %H:%M:%S.%f}+00",
            "recovery_target_action": "promote",
            "hot_standby": "off",  # nobody is let in before it is a primary again
        }
        owner = data.stat()
        with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        (data / "recovery.signal").touch()
        os.chown(data / "recovery.signal", owner.st_uid, owner.st_gid)

    # -- what is seen, and done -----------------------------------------------------------------------------------------

    def _see(self) -> None:
        """`status` names it, where there is something to be decided; and whoever writes reports has stopped, where going on would be wrong."""
        if self.loss.stops and not self._workers.down:
            if self._records_came_back():
                self._lose()
            raise NotYetError("no worker stays down")
        lines = self._problems()
        if not self.loss.heals:
            self.named = lines[0] if lines else ""
            return
        found = next((line for line in lines if self.loss.says in line), "")
        if not found:
            raise NotYetError(f"not named: {lines}")
        self.named = found
        assert commands_in(found) == self.loss.heals, f"status names other commands: {found}"
        self._left = list(commands_in(found))

    def _problems(self) -> list[str]:
        """What ``bionicpro status`` says is wrong, line by line."""
        without = WITHOUT if self.loss.server == "postgres" and self.loss.heals else (*WITHOUT, "sources")
        readings = gather(probes(self._status), self._status.status.deadline_s, without)
        return [str(problem) for problem in problems(readings, self._status.status, datetime.now(UTC))]

    def _heal(self) -> None:
        """The commands of that line, in order. One that a fault made fail is run again, as its message says."""
        assert self._left is not None
        while self._left:
            self._succeed(*self._left[0].split(), "--yes")
            self._left.pop(0)
        self._note_healed()

    def _make_room(self) -> None:
        small_disk.empty(self._data)
        self._lane.wait(self.loss.server)
        self._note_healed()

    def _note_healed(self) -> None:
        assert self._lost_at is not None
        self.healed_s = self.healed_s or round(time.monotonic() - self._lost_at, 1)

    def _well(self) -> None:
        """Nothing of it is said any more, and nothing of it is left for the next schedule."""
        if self.loss.what == "fill":
            with self._lane.stopped(self.loss.server) as data:
                small_disk.take_away(data)
            return
        if any(self.loss.says in line for line in self._problems()):
            raise NotYetError(f"still named: {self.loss.says}")
        if self.loss.server == "postgres":
            with self._superuser("postgres") as connection:
                connection.execute("ALTER SYSTEM RESET wal_keep_size")
        self._lane.let_files_go()
        for number in self._retired():
            self._succeed("schema", "drop-generation", str(number), "--yes")
        self._lane.stop_watch()

    def _retired(self) -> list[int]:
        with self._lane.migrator() as client:
            return [one.number for one in read_generations(client) if one.state == RETIRED]

    # -- access ---------------------------------------------------------------------------------------------------------

    def _succeed(self, *arguments: str) -> None:
        done = self._bionicpro(*arguments)
        if done.returncode != 0:
            raise NotYetError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-600:]}")

    def _bionicpro(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The operator's command, as a process of its own, with the files of the instance."""
        start = {"BIONICPRO_REBUILD__START_WORKERS": json.dumps(["touch", str(self._workers.start_file)])}
        command = [sys.executable, "-m", "cli", "--env-file", str(self._lane.instance.env_file("operator")), *arguments]
        return subprocess.run(
            command, cwd=REPOSITORY, env=os.environ | REBUILD_SETTINGS | start, capture_output=True, text=True, timeout=COMMAND_LIMIT_S, check=False
        )  # fmt: skip

    @property
    def _data(self) -> Path:
        return server_data.data_of(self._lane.instance, self.loss.server)

    @contextlib.contextmanager
    def _superuser(self, database: str) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(**self._lane.postgres(database, SUPERUSER), connect_timeout=5, autocommit=True) as connection:
            yield connection

    def _committed(self) -> dict[int, int]:
        return self._broker.committed(serving_group(self._settings.clickhouse, GROUP), LOG_TOPIC, range(log_partitions()))

    def _handled_now(self) -> dict[int, int]:
        with self._lane.migrator() as client:
            number = serving(read_generations(client)) or 0
            return read_handled(client, LOG_TOPIC, database_of("bionicpro", number))


def _archive(data: Path) -> Path:
    return data.with_name(f"{data.name}-archive")
