"""The connection to Redis: bounded, with a deadline on every step, and one exception for "it does not answer"."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

PREFIX = "bionicpro:bff"
"""Of all keys of the BFF."""

Value = str | int | float


class StoreDownError(Exception):
    """Redis does not answer, or refuses to work (loading, out of memory, read-only)."""


class Store:
    """The few commands the BFF needs. Every method raises `StoreDownError` within the deadline given to `connect`."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._scripts: dict[str, Any] = {}

    @classmethod
    def connect(cls, url: str, *, deadline_s: float, connections: int) -> Store:
        """Make a client; no connection is opened yet."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=deadline_s,
            socket_timeout=deadline_s,
            socket_connect_timeout=deadline_s,
            # One retry: a connection that a restart of Redis has closed is found out only by using it.
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
            protocol=2,
        )
        return cls(Redis(connection_pool=pool))

    async def run(self, script: str, keys: Sequence[str], args: Sequence[Value]) -> Any:
        """Run a Lua script atomically."""
        registered = self._scripts.get(script)
        if registered is None:
            registered = self._scripts[script] = self._client.register_script(script)
        async with _answered():
            return await registered(keys=list(keys), args=list(args))

    async def hash(self, key: str) -> dict[str, str]:
        """All fields of a hash; empty where there is none."""
        async with _answered():
            return {str(name): str(value) for name, value in (await self._client.hgetall(key)).items()}

    async def hashes(self, keys: Sequence[str], fields: Sequence[str]) -> list[list[str | None]]:
        """The *fields* of several hashes, in one round trip."""
        async with _answered(), self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hmget(key, list(fields))
            return list(await pipeline.execute())

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        async with _answered():
            await self._client.set(key, value, px=int(ttl_s * 1000))

    async def get(self, key: str) -> str | None:
        async with _answered():
            return _text(await self._client.get(key))

    async def take(self, key: str) -> str | None:
        """Read and delete in one step: of two callers one gets the value."""
        async with _answered():
            return _text(await self._client.getdel(key))

    async def ping(self) -> None:
        async with _answered():
            await self._client.ping()

    async def close(self) -> None:
        await self._client.aclose(close_connection_pool=True)


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreDownError(f"Redis: {type(error).__name__}") from error
