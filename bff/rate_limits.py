"""Rate limits, counted in Redis so that they hold over all BFF instances: fixed windows of a minute."""

from __future__ import annotations

from bff import session_scripts as scripts
from bff.problems import too_many
from bff.redis_client import Store
from bff.sealing import digest
from bff.sessions import PREFIX

WINDOW_MS = 60_000


class RateLimits:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self, what: str, whose: str, limit: int) -> None:
        """Count one of *what* (plural, shown to the caller) of *whose*. Raises `RefusalError` (429) above *limit* a minute."""
        count, left_ms = await self._store.run(scripts.COUNT, [f"{PREFIX}:rate:{what}:{digest(whose)[:32]}"], [WINDOW_MS])
        if int(count) > limit:
            raise too_many(what, max(1, int(left_ms) // 1000))
