"""Keycloak's public keys: cached, refetched for a key id that is not known, and not more often than the cool-down allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bff.sessions import Clock
from service_kit.public_keys import PublicKey, signature_keys

MAX_AGE_S = 3600


class UnknownKeyError(Exception):
    """No published key has this id."""


class SigningKeys:
    """Key ids and public signing keys of the realm. *fetch* returns the JWKS document and may raise; the keys held stay then."""

    def __init__(self, fetch: Callable[[], Awaitable[Mapping[str, Any]]], *, cooldown_s: float, clock: Clock) -> None:
        self._fetch = fetch
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str, *, patient: bool) -> PublicKey:
        """The key *kid*. Raises `UnknownKeyError`, or what *fetch* raises when nothing is known yet and the keys cannot be had.

        A *patient* caller has the token from Keycloak itself and waits for the cool-down to pass: a stranger who floods us with made-up key ids
        can so not hide a rotated key from a login. Others are told at once.
        """
        if kid in self._keys and self._clock() - self._fetched_at < MAX_AGE_S:
            return self._keys[kid]
        async with self._lock:
            if patient and kid not in self._keys:
                await asyncio.sleep(min(self._cooldown_s, max(0.0, self._tried_at + self._cooldown_s - self._clock())))
            if self._due(kid):
                await self._refetch()
        try:
            return self._keys[kid]
        except KeyError:
            raise UnknownKeyError("the token was signed with a key that the realm does not publish") from None

    def _due(self, kid: str) -> bool:
        now = self._clock()
        stale = now - self._fetched_at >= MAX_AGE_S
        return (kid not in self._keys or stale) and now - self._tried_at >= self._cooldown_s

    async def _refetch(self) -> None:
        self._tried_at = self._clock()
        try:
            self._keys = signature_keys(await self._fetch())
        except Exception:
            if not self._keys:
                # Nothing to fall back on: the next caller may try again at once.
                self._tried_at = float("-inf")
                raise
            return
        self._fetched_at = self._clock()
