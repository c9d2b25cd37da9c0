"""What a running BFF is made of, and the way from a request to it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any

import structlog
from fastapi import Depends
from starlette.requests import Request

from bff.audit import Audit
from bff.cookies import Cookies
from bff.id_tokens import Expected, TokenValidator
from bff.oidc import GrantRefusedError, Keycloak, ProviderDownError, ProviderMismatchError
from bff.rate_limits import RateLimits
from bff.redis_client import Store
from bff.refresh import Refresher
from bff.sessions import Clock, Session, Sessions
from bff.settings import BffSettings, Settings
from bff.streams import LiveStreams
from bff.transactions import Transactions
from bff.upstream import Upstream
from bff.visits import Visits
from service_kit import addresses
from service_kit.key_cache import Ages, KeyCache
from service_kit.retries import Policy, retrying_async
from service_kit.shares import Shares

ENDING = Policy(first_s=2.0, most_s=16.0, attempts=4)
ENDINGS_AT_MOST = 200
KEYS_MAX_AGE_S = 3600.0
KEYS_MAX_STALE_S = 86_400.0
"""Without Keycloak nobody logs in; so long may its last keys still say who is logged out."""
log = structlog.get_logger("bff")


@dataclass
class Bff:
    """One instance. Instances share nothing but Redis and Keycloak."""

    settings: BffSettings
    clock: Clock
    store: Store
    sessions: Sessions
    transactions: Transactions
    keycloak: Keycloak
    validator: TokenValidator
    refresher: Refresher
    streams: LiveStreams
    limits: RateLimits
    audit: Audit
    cookies: Cookies
    upstream: Upstream
    exports: Shares
    visits: Visits
    _endings: set[asyncio.Task[None]] = field(default_factory=set)

    async def end_session(self, session: Session) -> bool:
        """End a session here, then at Keycloak. False where Keycloak could not be told yet: that is tried again for a while."""
        if not await self.sessions.end(session):
            return True
        self.streams.end(session.key)
        if await self._end_at_keycloak(session):
            return True
        self._later(self._keep_trying(session))
        return False

    async def end_if_timed_out(self, session: Session) -> bool:
        """End *session* here and at Keycloak if its time is over; True if it is ended, by whomever, False if it lives."""
        end = (await self.sessions.ends([session.key]))[0]
        if end is not None and self.clock() < end:
            return False
        if end is not None and await self.sessions.end(session):
            self.streams.end(session.key)
            self.audit.session_timed_out(session)
            self._later(self._keep_trying(session))
        return True

    async def _end_at_keycloak(self, session: Session) -> bool:
        try:
            await self._tell_keycloak(session)
        except (ProviderDownError, ProviderMismatchError):
            return False
        return True

    async def _tell_keycloak(self, session: Session) -> None:
        try:
            await self.keycloak.end_session(session.grant.tokens.refresh)
        except GrantRefusedError:
            return  # gone already
        except (ProviderDownError, ProviderMismatchError) as error:
            log.warning("keycloak session not ended", error=str(error), session=session.reference)
            raise

    async def _keep_trying(self, session: Session) -> None:
        try:
            await retrying_async(ENDING, when=_is_not_told)(self._tell_keycloak, session)
        except (ProviderDownError, ProviderMismatchError):
            log.error("keycloak session left to time out", session=session.reference)  # noqa: TRY400  each attempt has said why

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._endings) >= ENDINGS_AT_MOST:
            work.close()
            log.error("too many keycloak sessions wait to be ended: one is left to time out")
            return
        task = asyncio.create_task(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def close(self) -> None:
        for task in list(self._endings):
            task.cancel()
        await asyncio.gather(*self._endings, return_exceptions=True)
        await self.upstream.close()
        await self.keycloak.close()
        await self.store.close()


def _is_not_told(error: BaseException) -> bool:
    return isinstance(error, ProviderDownError | ProviderMismatchError)


def build(settings: Settings, clock: Clock) -> Bff:
    """Put an instance together. Nothing is connected yet: whatever it needs may start later."""
    own = settings.bff
    store = Store.connect(settings.redis.url.get_secret_value(), deadline_s=own.redis_deadline_s, connections=own.redis_connections)
    sessions = Sessions(store, idle_s=own.session_idle_s, absolute_s=own.session_absolute_s, per_user=own.sessions_per_user, clock=clock)
    keycloak = Keycloak(
        settings.keycloak,
        client_id=own.client_id,
        client_secret=own.client_secret.get_secret_value(),
        deadline_s=own.identity_deadline_s,
        refresh_margin_s=own.refresh_margin_s,
        clock=clock,
    )
    ages = Ages(own.identity_deadline_s, own.key_refetch_cooldown_s, KEYS_MAX_AGE_S, KEYS_MAX_STALE_S)
    keys = KeyCache(keycloak.keys, ages, failures=(ProviderDownError, ProviderMismatchError), clock=clock)
    expected = Expected(keycloak.issuer, own.client_id, own.clock_leeway_s, own.max_authentication_age_s)
    validator = TokenValidator(keys, expected, clock)
    audit = Audit()
    return Bff(
        settings=own,
        clock=clock,
        store=store,
        sessions=sessions,
        transactions=Transactions(store, own.login_transaction_s),
        keycloak=keycloak,
        validator=validator,
        refresher=Refresher(
            sessions, keycloak, validator, audit, lock_s=own.refresh_lock_s, wait_s=own.identity_deadline_s + 2, clock=clock
        ),
        streams=LiveStreams(sessions, Shares(own.streams), check_s=own.stream_check_s, clock=clock),
        limits=RateLimits(store),
        audit=audit,
        cookies=Cookies(own.secure),
        upstream=Upstream(own.reports_url, connect_s=own.upstream_connect_s, places=Shares(own.calls)),
        exports=Shares(own.exports),
        visits=Visits(store, duration_s=own.visit_s),
    )


def bff_of(request: Request) -> Bff:
    bff = request.app.state.bff
    if not isinstance(bff, Bff):
        raise TypeError("the application was started without its lifespan")
    return bff


def client_of(request: Request) -> str:
    """The client's address, for the audit."""
    peer = request.client.host if request.client else None
    return addresses.client_address(peer, request.headers.getlist("x-forwarded-for"), bff_of(request).settings.proxy_networks)


def limited_as(request: Request) -> str:
    """As whom the client is counted by a limit."""
    return addresses.limited_as(client_of(request))


# Coroutines, because FastAPI would run plain functions in a thread.
async def _bff(request: Request) -> Bff:
    return bff_of(request)


async def _client(request: Request) -> str:
    return client_of(request)


async def _counted_as(request: Request) -> str:
    return limited_as(request)


TheBff = Annotated[Bff, Depends(_bff)]
"""A handler's instance."""
Client = Annotated[str, Depends(_client)]
"""The client's address, for the audit."""
CountedAs = Annotated[str, Depends(_counted_as)]
"""As whom the client is counted by a limit."""
