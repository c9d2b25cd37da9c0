"""The identity provider's public keys: cached, refetched on an unknown key id with a cool-down, each fetch with a deadline.

The service starts without the provider; it is not ready until keys have been seen once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import structlog

from reports_api import metrics
from service_kit.public_keys import PublicKey, signature_keys

log = structlog.get_logger(__name__)

MAX_DOCUMENT_BYTES = 262_144
FIRST_RETRY_S = 0.5


class KeysUnavailableError(Exception):
    """No keys are known: tokens can be neither accepted nor refused."""


class KeyCache:
    """Keys by id. At most one fetch at a time, and at most one a cool-down, whatever the tokens say.

    Each fetch has a *client* of its own, closed after it: a fetch that is broken off at its deadline can so leave no lost connection in a pool.
    """

    def __init__(
        self,
        client: Callable[[], httpx.AsyncClient],
        url: str,
        *,
        timeout_s: float,
        cool_down_s: float,
        max_age_s: float,
        max_stale_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._url = url
        self._timeout_s = timeout_s
        self._cool_down_s = cool_down_s
        self._max_age_s = max_age_s
        self._max_stale_s = max_stale_s
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at = float("-inf")
        self._next_fetch_at = float("-inf")
        self._retry_s = FIRST_RETRY_S
        self._fetching: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether keys are known that are not too old to be trusted."""
        return bool(self._keys) and self._clock() - self._fetched_at <= self._max_stale_s

    async def get(self, kid: str) -> PublicKey | None:
        """The key of that id, or None if the provider does not publish it. Raises KeysUnavailableError if no keys are known."""
        if self.ready and kid in self._keys:
            if self._clock() - self._fetched_at > self._max_age_s:
                self._start_fetch()  # in the background: a key that was withdrawn goes, nobody waits
            return self._keys[kid]
        task = self._start_fetch()
        if task is not None:
            await asyncio.shield(task)
        if not self.ready:
            raise KeysUnavailableError("the identity provider's keys are not known")
        return self._keys.get(kid)

    async def prepare(self) -> None:
        """Fetch until keys are known, with the same back-off as requests; run as a task at start."""
        while not self.ready:
            task = self._start_fetch()
            if task is not None:
                await asyncio.shield(task)
            if not self.ready:
                await asyncio.sleep(max(0.05, self._next_fetch_at - self._clock()))

    def _start_fetch(self) -> asyncio.Task[None] | None:
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._clock() < self._next_fetch_at:
            return None
        self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                keys = signature_keys(await self._download())
            if not keys:
                raise ValueError("the document holds no usable key")
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            metrics.JWKS_FETCHES.labels("failure").inc()
            self._next_fetch_at = self._clock() + self._retry_s
            self._retry_s = min(self._cool_down_s, self._retry_s * 2)
            log.warning("keys cannot be fetched: is the identity provider up?", url=self._url, error=type(error).__name__)
            return
        metrics.JWKS_FETCHES.labels("success").inc()
        self._keys, self._fetched_at = keys, self._clock()
        self._next_fetch_at = self._fetched_at + self._cool_down_s
        self._retry_s = FIRST_RETRY_S

    async def _download(self) -> dict[str, Any]:
        """The document, of bounded size. Redirects are not followed: keys come from the configured address or not at all."""
        body = bytearray()
        async with self._client() as client, client.stream("GET", self._url, headers={"Accept": "application/json"}) as answer:
            answer.raise_for_status()
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise ValueError(f"the document is longer than {MAX_DOCUMENT_BYTES} bytes")
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("the document is no object")  # noqa: TRY004  likewise
        return document
