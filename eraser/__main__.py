"""``python -m eraser``: runs until told to end. Exit codes: 0 ended as told, 70 ClickHouse away beyond the deadline or a defect, 78 wrong settings."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol

import structlog
from clickhouse_driver.errors import Error as DriverError

from eraser.ports import EraserError, Tables
from eraser.settings import EraserSettings
from eraser.standing import Standing
from eraser.tables import ClickHouseTables
from eraser.work import Work
from service_kit.clickhouse import connected
from service_kit.clickhouse_errors import Trouble, trouble_of
from service_kit.error_text import first_line
from service_kit.logging import configure
from service_kit.retries import BackOff
from service_kit.settings import ClickHouseSettings, load

log = structlog.get_logger()

EXIT_SOFTWARE = 70
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0


class Stop(Protocol):
    """``threading.Event`` as far as it is asked."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float) -> bool: ...


Connect = Callable[[], AbstractContextManager[Tables]]


def run(settings: EraserSettings, stop: Stop, connect: Connect, clock: Callable[[], float] = time.monotonic) -> int:
    """Look at the rules every while until *stop*; returns the exit code. *connect* gives the tables for a block, and is called anew after each failure."""
    back_off = BackOff(first_s=FIRST_BACKOFF_S, most_s=MAX_BACKOFF_S, clock=clock)
    standing = Standing(settings.eraser.settle_s)
    while not stop.is_set():
        try:
            with connect() as tables:
                work = Work(tables, settings.eraser, standing, clock)
                while not stop.is_set():
                    work.look()
                    back_off.succeeded()
                    stop.wait(settings.eraser.poll_s)
        except (EraserError, DriverError, OSError, EOFError) as error:
            pause = back_off.failed()
            of_data = not isinstance(error, EraserError) and trouble_of(error) is Trouble.DATA
            if of_data or back_off.failing_s() > settings.eraser.store_deadline_s:
                log.critical("the eraser stops", error=first_line(error))
                return EXIT_SOFTWARE
            log.warning("erasures wait", error=first_line(error), again_in_s=round(pause, 1))
            stop.wait(pause)
    return 0


@contextmanager
def clickhouse_tables(settings: ClickHouseSettings) -> Iterator[Tables]:
    """The tables by a connection of their own, for the block."""
    with connected(settings, settings.database) as client:
        yield ClickHouseTables(client, settings.database)


def main() -> int:
    settings = load(EraserSettings)
    configure("eraser", settings.log)
    # The driver logs each refused connection with its trace; ours says it in one line.
    logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return run(settings, stop, partial(clickhouse_tables, settings.clickhouse))


if __name__ == "__main__":
    sys.exit(main())
