"""TCP proxies that stand between a program and its server, and can cut, refuse and stall."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

from local.ports import any_free
from tests.support.waiting import PATIENCE_S

CHUNK = 64 * 1024
SETTLE_S = 0.05


class TcpProxies:
    """One thread and loop for several gates."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gates", daemon=True)
        self._thread.start()
        self._gates: list[TcpProxy] = []

    def make(self, port: int, host: str = "127.0.0.1", listen: tuple[str, int] | None = None) -> TcpProxy:
        """An open gate before *port* of *host*; it listens at a free port of loopback, or where it is told to."""
        gate = TcpProxy((host, port), self._run, listen)
        gate.open()
        self._gates.append(gate)
        return gate

    def close(self) -> None:
        """No gate lets anybody through any more; thread and loop are gone. Calling it again does nothing."""
        if self._loop.is_closed():
            return
        for gate in self._gates:
            gate.refuse()
        self._run(_end_all_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)


async def _end_all_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TcpProxy:
    """``open``, ``cut`` (connections break, new ones are let in), ``refuse`` (and none is let in), ``stall`` (bytes stop; nobody is told)."""

    def __init__(self, target: tuple[str, int], run: Any, listen: tuple[str, int] | None = None) -> None:
        self._target = target
        self._run = run
        self._host, self.port = listen or ("127.0.0.1", any_free(1)[0])
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()

    def open(self) -> None:
        self._run(self._open())

    def cut(self) -> None:
        self._run(self._cut())

    def refuse(self) -> None:
        self._run(self._refuse())

    def stall(self) -> None:
        self._run(self._stall())

    async def _open(self) -> None:
        self._flowing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, self._host, self.port)

    async def _stall(self) -> None:
        self._flowing.clear()

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._cut()

    async def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(SETTLE_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(up_writer)
        await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))
        self._writers -= {writer, up_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bytes from one end to the other; whichever way it ends, the other end is told."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
