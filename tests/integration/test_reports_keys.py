"""The cache of the identity provider's keys against a real HTTP server, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey

from reports_api.jwks import document
from service_kit.key_cache import Ages, KeyCache, KeysUnavailableError
from tests.support.reports_world import Issuer


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Iterator[Issuer]:
    made = Issuer()
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(provider: Issuer, clock: Clock) -> KeyCache:
    url = f"{provider.issuer}/protocol/openid-connect/certs"

    async def fetch() -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await document(client, url)

    return KeyCache(fetch, Ages(5, 10, 300, 3600), failures=(httpx.HTTPError,), clock=clock)


async def test_unknown_key_ids_fetch_once_a_cool_down(provider: Issuer, clock: Clock, cache: KeyCache) -> None:
    assert await cache.get(str(provider.key.kid)) is not None
    for number in range(50):
        assert await cache.get(f"unknown-{number}") is None
    assert provider.fetches == 1
    clock.now += 10
    await asyncio.gather(*(cache.get(f"unknown-{number}") for number in range(50)))
    assert provider.fetches == 2


async def test_a_provider_that_fails_is_asked_less_and_less(provider: Issuer, clock: Clock, cache: KeyCache) -> None:
    provider.down = True
    for _ in range(40):
        with pytest.raises(KeysUnavailableError):
            await cache.get("any")
        clock.now += 1
    assert 4 <= provider.fetches <= 8
    provider.down = False
    clock.now += 10
    assert await cache.get(str(provider.key.kid)) is not None


async def test_keys_outlive_an_outage_but_not_for_ever(provider: Issuer, clock: Clock, cache: KeyCache) -> None:
    await cache.get(str(provider.key.kid))
    provider.down = True
    clock.now += 600
    assert await cache.get(str(provider.key.kid)) is not None
    clock.now += 3600
    with pytest.raises(KeysUnavailableError):
        await cache.get(str(provider.key.kid))


async def test_a_withdrawn_key_goes_after_its_age(provider: Issuer, clock: Clock, cache: KeyCache) -> None:
    withdrawn = str(provider.key.kid)
    await cache.get(withdrawn)
    provider.key = RSAKey.generate_key(2048, auto_kid=True)
    clock.now += 301
    await cache.get(withdrawn)
    clock.now += 10
    await cache.get(str(provider.key.kid))
    assert await cache.get(withdrawn) is None
