"""Fresh tokens for a session: one refresh at a time, whatever the number of requests and of BFF instances."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bff.audit import Audit
from bff.id_tokens import InvalidTokenError, TokenValidator
from bff.oidc import GrantRefusedError, Keycloak, ProviderDownError, ProviderMismatchError
from bff.problems import login_required
from bff.redis_client import StoreDownError
from bff.sessions import Clock, Grant, Session, Sessions

FIRST_LOOK_S = 0.02
SLOWEST_LOOK_S = 0.25


class Refresher:
    """Gives each request a session whose access token is good.

    Within a process the requests of a session share one task; between processes a lock in Redis, held longer than the slowest refresh, lets one
    refresh and the others wait for its result. A fence keeps a refresher that lost the lock from overwriting later tokens.
    """

    def __init__(
        self, sessions: Sessions, keycloak: Keycloak, validator: TokenValidator, audit: Audit, *, lock_s: float, wait_s: float, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._keycloak = keycloak
        self._validator = validator
        self._audit = audit
        self._lock_s = lock_s
        self._wait_s = wait_s
        self._clock = clock
        self._running: dict[str, asyncio.Task[Session]] = {}

    async def fresh(self, session: Session, session_id: str) -> Session:
        """*session* with an access token that is not about to expire.

        Raises `RefusalError` (401) where the session has ended, `ProviderDownError` or `ProviderMismatchError` where Keycloak cannot be asked and the token at
        hand has expired: the session lives on then.
        """
        if self._clock() < session.grant.refresh_at:
            return session
        try:
            return await self._shared(session, session_id)
        except (ProviderDownError, ProviderMismatchError):
            if self._clock() < session.grant.access_expires_at:
                return session
            raise

    async def _shared(self, session: Session, session_id: str) -> Session:
        task = self._running.get(session.key)
        if task is None:
            # A task of its own: a request that gives up does not break off a refresh whose answer others wait for.
            task = asyncio.create_task(self._refreshed(session, session_id))
            self._running[session.key] = task
            task.add_done_callback(lambda done: self._forget(session.key, done))
        return await asyncio.shield(task)

    def _forget(self, key: str, task: asyncio.Task[Session]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen, even if every request that waited has given up

    async def _refreshed(self, session: Session, session_id: str) -> Session:
        until, pause = self._clock() + self._wait_s, FIRST_LOOK_S
        while True:
            fence = await self._sessions.begin_refresh(session, self._lock_s)
            if fence > 0:
                return await self._refresh(session, session_id, fence)
            if fence < 0:
                return await self._reread(session_id)
            if self._clock() >= until:
                raise ProviderDownError("another refresh of this session takes too long")
            await asyncio.sleep(pause)
            pause = min(pause * 2, SLOWEST_LOOK_S)

    async def _reread(self, session_id: str) -> Session:
        session = await self._sessions.read(session_id)
        if session is None or session.ended(self._clock()):
            raise login_required()
        return session

    async def _refresh(self, session: Session, session_id: str, fence: int) -> Session:
        try:
            grant = await self._renewed(session)
        except (GrantRefusedError, InvalidTokenError) as error:
            await self._sessions.end(session)
            self._audit.session_killed(session, str(error))
            raise login_required("Your session has ended. Log in again.") from None
        except BaseException:
            await self._release(session, fence)
            raise
        if not await self._sessions.finish_refresh(session, session_id, fence, grant):
            return await self._reread(session_id)
        return replace(session, grant=grant, refresh_mark=str(int(grant.refresh_at * 1000)))

    async def _renewed(self, session: Session) -> Grant:
        grant, id_token = await self._keycloak.refresh(session.grant.tokens.refresh)
        if id_token is not None:
            identity = await self._validator.identity_of_refresh(id_token)
            if (identity.subject, identity.keycloak_sid) != (session.identity.subject, session.identity.keycloak_sid):
                raise InvalidTokenError("the refreshed ID token speaks of another subject or session")
        return grant

    async def _release(self, session: Session, fence: int) -> None:
        try:
            await self._sessions.release_refresh(session, fence)
        except StoreDownError:
            # The lock runs out by itself; the failure that brought us here is the one to report.
            self._audit.note("refresh lock left to run out", session)
