"""``verify``: time and memory of the audit over many events of many customers, and that it names the one report, event and state that were altered among them.

PostgreSQL makes the rows itself; the connector, the log and the processor bring them into the mart, as ever.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.endtoend import least_as_of
from benchmarks.results import Failure, Result, WrongResultsError, versions_of
from benchmarks.servers import Servers, pipe, progress
from benchmarks.source import Fleet, connected, make_owners
from benchmarks.usage import usage_of
from benchmarks.worker import SubjectFailedError, last_words
from local import paths
from service_kit import processes

BENCH = "verify"
EVENTS = 10_000_000
CUSTOMERS = 50_000
A_DAY = 10  # events of each customer's day, which a device uploads together
ROWS_PER_COMMIT = 50_000
SLOWEST_PER_S = 1_000  # events of the pipe; slower is stuck
LIMIT_S = 3_600.0
LOOK_S = 0.5
STOP_S = 30.0
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
# Every choice is a hash of the row's number, so that each run has the same rows.
TELEMETRY = """
INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, amplitude_uv, movement_recognised, active_ms, battery_percent, error_code, error_severity, latitude, longitude)
SELECT 1 + n / %(a_day)s %% %(customers)s,
       %(start)s::timestamptz + make_interval(days => (n / (%(a_day)s * %(customers)s))::integer, secs => 8640 * (n %% %(a_day)s) + h %% 8640), kind,
       CASE WHEN kind = 'signal' THEN h / 8 %% 20000 END, CASE WHEN kind = 'signal' THEN h %% 7 < 6 END, CASE WHEN kind = 'signal' THEN h / 16 %% 4000 END,
       CASE WHEN kind = 'battery' THEN h %% 101 END, CASE WHEN kind = 'error' THEN 'E-' || h %% 5 END, CASE WHEN kind = 'error' THEN 'warning' END,
       CASE WHEN kind = 'location' THEN h %% 180 - 90 END, CASE WHEN kind = 'location' THEN h %% 360 - 180 END
FROM (SELECT n, h, CASE WHEN h %% 20 < 14 THEN 'signal' WHEN h %% 20 < 17 THEN 'battery' WHEN h %% 20 < 19 THEN 'location' ELSE 'error' END AS kind
      FROM (SELECT n, hashint8(n) & 1073741823 AS h FROM generate_series(%(first)s::bigint, %(last)s) AS n) AS hashed) AS chosen
"""
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usename = 'auditor' AND pid <> pg_backend_pid()"
TEMPORARY = "SELECT temp_bytes FROM pg_stat_database WHERE datname = 'telemetry'"
ALTERATIONS = {  # of prostheses 11, 12 and 13; each under the version or LSN that it has, where ClickHouse keeps the later row
    11: "INSERT INTO bionicpro_g1.user_daily_reports SELECT * REPLACE (usage_ms + 1 AS usage_ms)"
    " FROM (SELECT * FROM bionicpro_g1.user_daily_reports FINAL WHERE prosthesis_id = '11' ORDER BY report_date LIMIT 1)",
    12: "INSERT INTO bionicpro_g1.telemetry_events SELECT * REPLACE (bitXor(active_ms, 1) AS active_ms)"
    " FROM (SELECT * FROM bionicpro_g1.telemetry_events FINAL WHERE prosthesis_id = '12' ORDER BY event_id_lo LIMIT 1)",
    13: "INSERT INTO bionicpro_g1.report_state SELECT * REPLACE ((SELECT any(fold) FROM bionicpro_g1.report_state FINAL WHERE prosthesis_id = '14') AS fold)"
    " FROM (SELECT * FROM bionicpro_g1.report_state FINAL WHERE prosthesis_id = '13' ORDER BY report_date LIMIT 1)",
}


@dataclass
class Peaks:
    """The most memory seen: of the command, of the sessions in PostgreSQL that compute for it (without shared buffers), of ClickHouse."""

    command_mib: float = 0.0
    command_cpu_s: float = 0.0
    session_mib: float = 0.0
    clickhouse_mib: float = 0.0

    def look(self, servers: Servers, command: int) -> None:
        with suppress(ProcessLookupError):
            usage = usage_of(command)
            self.command_mib, self.command_cpu_s = max(self.command_mib, usage.peak_rss_mib), max(self.command_cpu_s, usage.cpu_s)
        with connected(servers, "telemetry", "auditor") as telemetry:
            pids = [int(row[0]) for row in telemetry.execute(SESSIONS)]
        self.session_mib = max(self.session_mib, sum(_kib(pid, "RssAnon") for pid in pids) / 1024)
        self.clickhouse_mib = max(self.clickhouse_mib, _kib(servers.pids()["clickhouse"], "VmRSS") / 1024)


@dataclass(frozen=True)
class Looked:
    """One run of the command: its exit code, what it said, and what it took. *cpu_s*: of the servers."""

    code: int
    said: Mapping[str, Any]
    wall_s: float
    peaks: Peaks
    temporary_mib: float
    cpu_s: Mapping[str, float]


def run(events: int | None) -> Iterator[Result | Failure]:
    count = events or EVENTS
    fleet = Fleet(1, max(20, min(CUSTOMERS, count // (2 * A_DAY))))
    with filled(fleet, count) as servers:
        looked = look(servers)
        if looked.code != 0 or not looked.said["ok"]:
            raise WrongResultsError(f"the untouched mart is not equal: {looked.said}")
        yield _result("untouched", count, looked)
        with servers.clickhouse() as client:
            for statement in ALTERATIONS.values():
                client.execute(statement)
        looked = look(servers)
        check_found(looked)
        yield _result("one report, event and state altered", count, looked)


@contextmanager
def filled(fleet: Fleet, count: int) -> Iterator[Servers]:
    """The pipe and the processor, with *count* events of *fleet* in the mart."""
    with pipe() as servers:
        make_owners(servers, fleet, ZONES)
        began = time.monotonic()
        _insert(servers, fleet, count)
        progress(f"{count:,} events are committed after {time.monotonic() - began:.0f} s")
        _wait_handled(servers, time.time(), count)
        progress(f"they are in the mart after {time.monotonic() - began:.0f} s")
        servers.quiet_store()
        yield servers


def _insert(servers: Servers, fleet: Fleet, count: int) -> None:
    days = -(-count // (fleet.count * A_DAY))
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days + 1)
    with connected(servers, "telemetry", "telemetry_ingest") as telemetry:
        for first in range(0, count, ROWS_PER_COMMIT):
            last = min(first + ROWS_PER_COMMIT, count) - 1
            parameters = {"first": first, "last": last, "a_day": A_DAY, "customers": fleet.count, "start": start}
            telemetry.execute(TELEMETRY.encode(), parameters)


def _wait_handled(servers: Servers, since: float, count: int) -> None:
    """Until everything committed before *since* is in the mart."""
    deadline = time.monotonic() + 300 + count / SLOWEST_PER_S
    with servers.clickhouse("auditor") as client:
        while least_as_of(client) < since:
            if time.monotonic() > deadline:
                raise SubjectFailedError("the events did not reach the mart")
            time.sleep(1.0)


def look(servers: Servers) -> Looked:
    """``bionicpro verify``, watched from outside."""
    cpu, temporary, peaks, began = _cpu(servers), _temporary(servers), Peaks(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bionicpro-bench-") as folder:
        said, told = Path(folder) / "said", Path(folder) / "told"
        with said.open("wb") as output, told.open("wb") as errors:
            command = [sys.executable, "-m", "cli", "verify", "--json"]
            variables = os.environ | servers.variables("operator")
            process = subprocess.Popen(command, cwd=paths.REPOSITORY, env=variables, stdout=output, stderr=errors)
        try:
            while process.poll() is None:
                peaks.look(servers, process.pid)
                if time.monotonic() - began > LIMIT_S:
                    raise SubjectFailedError(f"verify did not end within {LIMIT_S:.0f} s: {last_words(told)}")
                time.sleep(LOOK_S)
        finally:
            processes.end(process, STOP_S)
        wall, text = time.monotonic() - began, said.read_text(encoding="utf-8")
        if not text.startswith("{"):
            raise SubjectFailedError(f"verify ended with {process.returncode}: {last_words(told)}")
    progress(f"verify: exit code {process.returncode} after {wall:.0f} s")
    spent = {part: seconds - cpu[part] for part, seconds in _cpu(servers).items()}
    return Looked(process.returncode, json.loads(text), wall, peaks, _temporary(servers) - temporary, spent)


def check_found(looked: Looked) -> None:
    """The altered things are named, and nothing else is. Raises WrongResultsError."""
    said = looked.said
    reports = {name: [one["prosthesis_id"] for one in found["examples"]] for name, found in said["differences"].items()}
    found = (looked.code, reports, said["raw"], [one["prosthesis_id"] for one in said["states"]["examples"]])
    if found != (1, {"usage_ms": ["11"]}, {"missing": 0, "different": 1, "surplus": 0}, ["13"]):
        raise WrongResultsError(f"three alterations, and verify says {found}")


def _cpu(servers: Servers) -> dict[str, float]:
    return {part: servers.usage(part).cpu_s for part in ("postgres", "clickhouse")}


def _temporary(servers: Servers) -> float:
    """MiB that queries on telemetry have written to temporary files so far."""
    with connected(servers, "telemetry", "telemetry_ingest") as telemetry:
        row = telemetry.execute(TEMPORARY).fetchone()
    return float(row[0]) / 2**20 if row else 0.0


def _kib(pid: int, name: str) -> float:
    """*name* of ``/proc/PID/status`` in KiB; 0 where the process has ended."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return float(found[1]) if found else 0.0


def _result(subject: str, count: int, looked: Looked) -> Result:
    peaks, rows = looked.peaks, looked.said["rows_compared"]
    figures: dict[str, float | int | str] = {
        "reports": rows,
        "rounds": looked.said["rounds"],
        "events_per_s": count / looked.wall_s,
        "postgres_cpu_s": looked.cpu_s["postgres"],
        "session_mib": peaks.session_mib,
        "temporary_mib": looked.temporary_mib,
        "clickhouse_mib": peaks.clickhouse_mib,
    }
    return Result(BENCH, subject, count, looked.wall_s, peaks.command_cpu_s, store_cpu_s=looked.cpu_s["clickhouse"],
                  peak_rss_mib=peaks.command_mib, figures=figures, versions=versions_of())  # fmt: skip
