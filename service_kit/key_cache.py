"""The identity provider's public keys: cached, and fetched again for a key id that is not known, no more often than a cool-down allows.

A service starts without its provider. It knows no keys until one fetch has succeeded. Needs the extra of a service that checks tokens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from service_kit.public_keys import PublicKey, signature_keys
from service_kit.retries import BackOff

log = structlog.get_logger(__name__)

FIRST_RETRY_S = 0.5
Fetch = Callable[[], Awaitable[Mapping[str, Any]]]
"""Returns the JWKS document (RFC 7517 5)."""


class KeysUnavailableError(Exception):
    """No keys are known: tokens can be neither accepted nor refused. The cause is the last fetch's failure, where there was one."""


@dataclass(frozen=True, slots=True)
class Ages:
    """Seconds. *timeout_s*: of one fetch. *cool_down_s*: between two fetches. *max_age_s*: keys older than this are fetched again in the background.
    *max_stale_s*: keys older than this are not believed any more."""

    timeout_s: float
    cool_down_s: float
    max_age_s: float
    max_stale_s: float


class KeyCache:
    """Keys by id. At most one fetch at a time, and at most one a cool-down, whatever the tokens say.

    *failures* are what *fetch* raises when the provider is away or answers nonsense; anything else is a defect and reaches the caller.
    *observe* is told of each fetch whether it succeeded.
    """

    def __init__(
        self,
        fetch: Fetch,
        ages: Ages,
        *,
        failures: tuple[type[Exception], ...],
        observe: Callable[[bool], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch_document = fetch
        self._ages = ages
        self._failures: tuple[type[Exception], ...] = (*failures, TimeoutError, ValueError)
        self._observe = observe
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at = float("-inf")
        self._next_fetch_at = float("-inf")
        self._back_off = BackOff(first_s=FIRST_RETRY_S, most_s=ages.cool_down_s, clock=clock)
        self._failure: Exception | None = None
        self._fetching: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether keys are known that are not too old to be trusted."""
        return bool(self._keys) and self._clock() - self._fetched_at <= self._ages.max_stale_s

    async def get(self, kid: str, *, patient: bool = False) -> PublicKey | None:
        """The key of that id, or None if the provider does not publish it. Raises `KeysUnavailableError` if no keys are known.

        A *patient* caller has the token from the provider itself and waits for the cool-down to pass: a stranger who floods us with made-up
        key ids can so not hide a rotated key from a login. Others are told at once.
        """
        if self.ready and kid in self._keys:
            if self._clock() - self._fetched_at > self._ages.max_age_s:
                self._start_fetch()  # in the background: a key that was withdrawn goes, nobody waits
            return self._keys[kid]
        if patient:
            await asyncio.sleep(min(self._ages.cool_down_s, max(0.0, self._next_fetch_at - self._clock())))
        await self._fetched()
        if not self.ready:
            raise KeysUnavailableError("the identity provider's keys are not known") from self._failure
        return self._keys.get(kid)

    async def prepare(self) -> None:
        """Fetch until keys are known, with the same back-off as requests; run as a task at start, it ends with the service."""
        while not self.ready:
            await self._fetched()
            if not self.ready:
                await asyncio.sleep(max(0.05, self._next_fetch_at - self._clock()))

    async def _fetched(self) -> None:
        task = self._start_fetch()
        if task is not None:
            await asyncio.shield(task)

    def _start_fetch(self) -> asyncio.Task[None] | None:
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._clock() < self._next_fetch_at:
            return None
        self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._ages.timeout_s):
                keys = signature_keys(await self._fetch_document())
            if not keys:
                raise ValueError("the document holds no usable key")
        except self._failures as error:
            self._observe(False)
            self._failure = error
            self._next_fetch_at = self._clock() + self._back_off.failed()
            log.warning("keys cannot be fetched: is the identity provider up?", error=type(error).__name__)
            return
        self._observe(True)
        self._keys, self._fetched_at, self._failure = keys, self._clock(), None
        self._next_fetch_at = self._fetched_at + self._ages.cool_down_s
        self._back_off.succeeded()
