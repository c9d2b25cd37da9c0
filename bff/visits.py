"""Support's visits: for how long, and why, a support engineer looks at one wearer's reports. Kept in Redis, so that every instance knows of them."""

from __future__ import annotations

from bff.redis_client import PREFIX, Store
from bff.sealing import digest
from bff.sessions import Session


class Visits:
    """One visit of each wearer a session. Every method is idempotent, and raises `StoreDownError` when Redis does not answer."""

    def __init__(self, store: Store, *, duration_s: float) -> None:
        self._store = store
        self.duration_s = duration_s

    async def begin(self, session: Session, user_id: str, reason: str) -> None:
        """Open *user_id*'s reports to the session for a while; begun again, it takes the new reason and lasts anew."""
        await self._store.put(_key(session, user_id), reason, self.duration_s)

    async def reason(self, session: Session, user_id: str) -> str | None:
        """Why the session looks at *user_id*'s reports; None where no visit was begun, or it is over."""
        return await self._store.get(_key(session, user_id))

    async def end(self, session: Session, user_id: str) -> bool:
        """End the visit; False where there was none."""
        return await self._store.take(_key(session, user_id)) is not None


def _key(session: Session, user_id: str) -> str:
    return f"{PREFIX}:visit:{digest(session.key + ' ' + user_id)}"
