"""What the mart counts, looked at again and again."""

from __future__ import annotations

import time

from clickhouse_driver import Client

from benchmarks.endtoend import user_of
from benchmarks.source import Fleet
from benchmarks.worker import SubjectFailedError

LIMIT_S = 900.0
LOOK_S = 0.002  # of what comes within a second
COUNTED = "SELECT sum(event_count) FROM bionicpro.user_daily_reports WHERE user_id = %(user)s"


def counted(client: Client, fleet: Fleet) -> int:
    """The events in all reports of the first prosthesis of *fleet*."""
    return int(client.execute(COUNTED, {"user": user_of(fleet.first)})[0][0])


def until_counted(client: Client, fleet: Fleet, count: int, look_s: float = LOOK_S) -> float:
    """Seconds until the reports of the first prosthesis of *fleet* have *count* events. Raises SubjectFailedError where that takes LIMIT_S."""
    began = time.monotonic()
    while (found := counted(client, fleet)) != count:
        if time.monotonic() - began > LIMIT_S:
            raise SubjectFailedError(f"the reports count {found} of {count} events after {LIMIT_S:.0f} s")
        time.sleep(look_s)
    return time.monotonic() - began
