"""Rate limits, counted in Redis so that they hold over all BFF instances: fixed windows of a minute."""

from __future__ import annotations

from dataclasses import dataclass

from bff import session_scripts as scripts
from bff.problems import too_many
from bff.redis_client import PREFIX, Store
from bff.sealing import digest

WINDOW_MS = 60_000


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something was asked for in the window that ends in *left_ms*."""

    count: int
    left_ms: int

    def require_within(self, what: str, limit: int) -> None:
        """Raise `RefusalError` (429) above *limit*; *what* (plural) is shown to the caller."""
        if self.count > limit:
            raise too_many(what, max(1, self.left_ms // 1000))


def counters_of(what: str) -> str:
    """With which the keys begin under which *what* is counted; whose it is follows."""
    return f"{PREFIX}:rate:{what}:"


class RateLimits:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self, what: str, whose: str, limit: int) -> None:
        """Count one of *what* (plural, shown to the caller) of *whose*. Raises `RefusalError` (429) above *limit* a minute."""
        count, left_ms = await self._store.run(scripts.COUNT, [counters_of(what) + digest(whose)[:32]], [WINDOW_MS])
        Counted(int(count), int(left_ms)).require_within(what, limit)
