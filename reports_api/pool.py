"""A bounded pool of ClickHouse clients, each used by one thread at a time; deadlines, back-off and no unbounded queue.

clickhouse-driver has no pool, blocks, and allows one query a client; its own reconnect (a ping before each query) is relied on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import structlog
from clickhouse_driver import Client, errors

from service_kit import clickhouse
from service_kit.clickhouse_errors import OUTAGE_CODES, Trouble, trouble_of
from service_kit.retries import BackOff
from service_kit.settings import ClickHouseSettings

log = structlog.get_logger(__name__)

BUSY_CODES = OUTAGE_CODES | {
    errors.ErrorCodes.UNKNOWN_TABLE,
    errors.ErrorCodes.UNKNOWN_DATABASE,
    errors.ErrorCodes.UNKNOWN_FUNCTION,  # how the server calls a view with parameters that is not there
}
"""Answers of the server that pass: it is loaded, or its schema is not there yet."""
FIRST_BACK_OFF_S = 0.1
LAST_BACK_OFF_S = 5.0

Rows = list[tuple[Any, ...]]
Parameters = Mapping[str, object]


class StoreUnavailableError(Exception):
    """ClickHouse cannot answer now. ``retry_after_s`` says when to ask again."""

    def __init__(self, reason: str, retry_after_s: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class StoreFailedError(Exception):
    """ClickHouse refused the query: a fault of ours or of its configuration. Carries the server's code, not its text."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ClickHouse refused the query with code {code}")
        self.code = code


class ClickHousePool:
    """At most *size* queries at once, at most *max_waiting* waiting, each answered or failed within *deadline_s*."""

    def __init__(self, settings: ClickHouseSettings, *, size: int, max_waiting: int, deadline_s: float) -> None:
        self._settings = settings
        self._deadline_s = deadline_s
        self._max_waiting = max_waiting
        self._waiting = 0
        self._free = asyncio.Semaphore(size)
        self._idle: list[Client] = []
        self._clients: list[Client] = []
        self._given_up: set[Client] = set()
        self._threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix="clickhouse")
        self._back_off = BackOff(first_s=FIRST_BACK_OFF_S, most_s=LAST_BACK_OFF_S)

    @property
    def waiting(self) -> int:
        """Queries that wait for a client."""
        return self._waiting

    async def query(self, sql: str, parameters: Parameters) -> Rows:
        """Rows of *sql*, whose ``{name:Type}`` placeholders the server fills from *parameters*.

        Raises StoreUnavailableError (queue full, deadline passed, server away or overloaded) and StoreFailedError.
        """
        pause = self._back_off.remaining_s()
        if pause > 0:
            raise StoreUnavailableError("ClickHouse was unreachable a moment ago", pause)
        if self._waiting >= self._max_waiting:
            raise StoreUnavailableError("too many queries are waiting")
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._acquire()
                return await self._run(sql, parameters)
        except TimeoutError:
            raise StoreUnavailableError(f"no answer from ClickHouse within {self._deadline_s} s") from None

    async def _acquire(self) -> None:
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    async def _run(self, sql: str, parameters: Parameters) -> Rows:
        """Run in a thread. The permit comes back when the thread is done, also if nobody waits for it any more."""
        client = self._idle.pop() if self._idle else self._new_client()
        work = self._threads.submit(self._execute, client, sql, parameters)
        future = asyncio.wrap_future(work)
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: _call_soon(loop, self._release, client))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_retrieve)
            self._given_up.add(client)
            _break_off(client)
            raise

    def _release(self, client: Client) -> None:
        self._given_up.discard(client)
        self._idle.append(client)
        self._free.release()

    def _execute(self, client: Client, sql: str, parameters: Parameters) -> Rows:
        try:
            rows: Rows = client.execute(sql, parameters)
        except errors.ServerException as error:
            if error.code in BUSY_CODES:
                raise StoreUnavailableError(f"ClickHouse answered with code {error.code}") from error
            log.error("clickhouse refused a query", code=error.code)  # noqa: TRY400  the server's text holds the query
            raise StoreFailedError(error.code) from error
        except (errors.Error, EOFError, OSError) as error:
            client.disconnect()
            if trouble_of(error) is not Trouble.OUTAGE:  # the server is well: waiting for it would help nobody
                log.error("clickhouse's answer cannot be read", error=type(error).__name__)  # noqa: TRY400  the text may hold values
                raise StoreFailedError(getattr(error, "code", 0)) from error
            if client not in self._given_up:  # else it is we who broke off, and the server may be well
                self._back_off.failed()
            raise StoreUnavailableError(f"ClickHouse is unreachable: {type(error).__name__}", self._back_off.remaining_s()) from error
        self._back_off.succeeded()
        return rows

    def _new_client(self) -> Client:
        client = clickhouse.client(
            self._settings,
            self._settings.database,
            send_receive_timeout=min(self._settings.send_receive_timeout_s, self._deadline_s),
            sync_request_timeout=min(2.0, self._deadline_s),
            client_name="bionicpro-reports-api",
            settings={"server_side_params": True},
        )
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Refuse new queries, break off those that run, and disconnect. This takes at most as long as a connection takes to open."""
        for client in self._clients:
            self._given_up.add(client)
            _break_off(client)
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        for client in self._clients:
            client.disconnect()


def _break_off(client: Client) -> None:
    """End a thread's wait for the server. The connection is the thread's, which may be opening or closing it: only its socket is shut down."""
    connected = client.connection.socket
    if connected is not None:
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)


def _retrieve(future: asyncio.Future[Rows]) -> None:
    """Take the outcome of an abandoned query, so that asyncio does not report it as lost."""
    if not future.cancelled():
        future.exception()


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, *arguments)
