"""Where the identity provider's key set (JWKS) comes from: its address, asked anew each time, and an answer of bounded size."""

from __future__ import annotations

import json
import ssl
from typing import Any

import httpx

from reports_api import metrics
from reports_api.settings import Settings
from service_kit.key_cache import Ages, KeyCache

MAX_DOCUMENT_BYTES = 262_144


def key_cache(settings: Settings) -> KeyCache:
    """The keys of the configured realm. Nothing is fetched before the first token or `KeyCache.prepare`."""
    own, keycloak = settings.reports, settings.keycloak
    url = f"{keycloak.base_url.rstrip('/')}/realms/{keycloak.realm}/protocol/openid-connect/certs"
    trust = ssl.create_default_context(cafile=str(keycloak.ca_file) if keycloak.ca_file else None)

    async def fetch() -> dict[str, Any]:
        # A client of its own for each fetch, closed after it: a fetch that is broken off at its deadline leaves no lost connection in a pool.
        # No redirects: keys come from the configured address or not at all.
        async with httpx.AsyncClient(timeout=own.jwks_timeout_s, follow_redirects=False, trust_env=False, verify=trust) as client:
            return await document(client, url)

    ages = Ages(own.jwks_timeout_s, own.jwks_cool_down_s, own.jwks_max_age_s, own.jwks_max_stale_s)
    return KeyCache(fetch, ages, failures=(httpx.HTTPError, RecursionError), observe=_count)


async def document(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """The JSON object at *url*. Raises httpx.HTTPError, ValueError and RecursionError."""
    body = bytearray()
    async with client.stream("GET", url, headers={"Accept": "application/json"}) as answer:
        answer.raise_for_status()
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}")
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > MAX_DOCUMENT_BYTES:
                raise ValueError(f"the document is longer than {MAX_DOCUMENT_BYTES} bytes")
    said = json.loads(body)
    if not isinstance(said, dict):
        raise ValueError("the document is no object")  # noqa: TRY004  what came over the wire is wrong, not our call
    return said


def _count(succeeded: bool) -> None:
    metrics.JWKS_FETCHES.labels("success" if succeeded else "failure").inc()
