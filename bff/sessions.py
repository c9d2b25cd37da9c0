"""Sessions in Redis: made at login, read at each request, extended by what a person does, ended once and for all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from bff import session_scripts as scripts
from bff.rate_limits import WINDOW_MS, Counted, counters_of
from bff.redis_client import PREFIX, Store
from bff.sealing import Tokens, digest, new_identifier, seal, unseal

ENDED_MARKER_S = 600
GRACE_MS = 120_000
"""A session's record outlives its idle end by this, so that whoever still asks or streams can end it at Keycloak too."""

EXTENSION_STEPS = 60
"""A session's idle end moves by at least this part of the idle time: of half an hour, by half a minute."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who logged in: Keycloak's subject and session id, and what the page shows."""

    subject: str
    keycloak_sid: str
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens and when they end, in seconds since 1970; at *refresh_at* they should be renewed."""

    tokens: Tokens
    refresh_at: float
    access_expires_at: float


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it was read. *reference* names it in logs; it opens nothing. Times: seconds since 1970."""

    key: str
    reference: str
    identity: Identity
    grant: Grant
    idle_expires_at: float
    absolute_expires_at: float
    refresh_mark: str

    def ended(self, now: float) -> bool:
        return now >= min(self.idle_expires_at, self.absolute_expires_at)


def session_key(session_id: str) -> str:
    return f"{PREFIX}:session:{digest(session_id)}"


def lock_key(key: str) -> str:
    return f"{key}:refresh"


def _by_sid(sid: str) -> str:
    return f"{PREFIX}:sid:{digest(sid)}"


def _by_subject(subject: str) -> str:
    return f"{PREFIX}:subject:{digest(subject)}"


def _ended_marker(sid: str) -> str:
    return f"{PREFIX}:ended-sid:{digest(sid)}"


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


class Sessions:
    """The store. Every method is idempotent except `create`, and raises `StoreDownError` when Redis does not answer."""

    def __init__(self, store: Store, *, idle_s: float, absolute_s: float, per_user: int, clock: Clock) -> None:
        self._store = store
        self._idle_ms = _ms(idle_s)
        self._absolute_ms = _ms(absolute_s)
        self._per_user = per_user
        self._clock = clock

    async def create(self, identity: Identity, grant: Grant) -> tuple[str, Session] | None:
        """A new session under a new random id, or None where Keycloak has ended its own session meanwhile.

        A user's oldest session goes when there are more than the limit.
        """
        session_id = new_identifier()
        key, now = session_key(session_id), _ms(self._clock())
        absolute = now + self._absolute_ms
        idle = min(now + self._idle_ms, absolute)
        fields = {
            "reference": new_identifier()[:12],
            "subject": identity.subject,
            "keycloak_sid": identity.keycloak_sid,
            "name": identity.name,
            "roles": json.dumps(identity.roles),
            "idle_expires_ms": idle,
            "absolute_expires_ms": absolute,
            "fence": 0,
            **_grant_fields(grant, session_id),
        }
        made = await self._store.run(
            scripts.CREATE,
            [key, _by_sid(identity.keycloak_sid), _by_subject(identity.subject), _ended_marker(identity.keycloak_sid)],
            [absolute, idle - now + GRACE_MS, now, self._per_user, *_flat(fields)],
        )
        if not made:
            return None
        return session_id, _session(key, {name: str(value) for name, value in fields.items()}, session_id)

    async def read(self, session_id: str) -> Session | None:
        """The session, also where its time is over (`Session.ended` tells). None where there is none."""
        key = session_key(session_id)
        fields = await self._store.hash(key)
        return _session(key, fields, session_id) if "sealed" in fields else None

    async def read_counted(self, session_id: str, what: str) -> tuple[Session | None, Counted]:
        """As `read`, and one of *what* counted for the session's subject, over all their sessions, in the same round trip: every request asks for both."""
        key = session_key(session_id)
        count, left_ms, *flat = await self._store.run(scripts.READ_COUNTED, [key], [WINDOW_MS, counters_of(what)])
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return (_session(key, fields, session_id) if "sealed" in fields else None), Counted(int(count), int(left_ms))

    def extension_due(self, session: Session) -> bool:
        """Whether `extend` would move the idle end by a step worth a round trip: a page asks for several things at once."""
        now = _ms(self._clock())
        moved_ms = min(now + self._idle_ms, _ms(session.absolute_expires_at)) - _ms(session.idle_expires_at)
        return moved_ms * EXTENSION_STEPS > self._idle_ms

    async def extend(self, session: Session) -> Session | None:
        """Move the idle end on; None where the session has ended meanwhile: it is not revived."""
        idle = int(await self._store.run(scripts.EXTEND, [session.key], [_ms(self._clock()), self._idle_ms, GRACE_MS]))
        return replace(session, idle_expires_at=idle / 1000) if idle else None

    async def end(self, session: Session) -> bool:
        """Delete the session; False where it was gone already."""
        keys = [session.key, lock_key(session.key), _by_sid(session.identity.keycloak_sid), _by_subject(session.identity.subject)]
        return bool(await self._store.run(scripts.END, keys, []))

    async def end_by_logout_token(self, jti: str, sid: str | None, subject: str | None) -> list[str] | None:
        """End what a validated logout token names: the Keycloak session *sid* (of *subject*, if given), or every session of *subject*.

        Returns the keys of the ended sessions, or None for a token seen before: then nothing is ended.
        """
        if sid is None and subject is None:
            raise ValueError("a logout token names a session or a subject")
        index = _by_sid(sid) if sid is not None else _by_subject(subject or "")
        marker = _ended_marker(sid) if sid is not None else ""
        seen, *ended = await self._store.run(
            scripts.END_BY_NOTICE, [f"{PREFIX}:jti:{digest(jti)}", index, marker], [_ms(ENDED_MARKER_S), subject or ""]
        )
        return None if seen == "0" else list(ended)

    async def begin_refresh(self, session: Session, lock_s: float) -> int:
        """Take the refresh lock: a fence above 0; 0 while another has it; -1 gone; -2 refreshed since *session* was read."""
        return int(await self._store.run(scripts.BEGIN_REFRESH, [session.key, lock_key(session.key)], [_ms(lock_s), session.refresh_mark]))

    async def finish_refresh(self, session: Session, session_id: str, fence: int, grant: Grant) -> bool:
        """Store the new tokens and free the lock. False where the session is gone or a later refresh has overtaken: nothing is written then."""
        keys = [session.key, lock_key(session.key)]
        return bool(await self._store.run(scripts.FINISH_REFRESH, keys, [fence, *_flat(_grant_fields(grant, session_id))]) == 1)

    async def release_refresh(self, session: Session, fence: int) -> None:
        await self._store.run(scripts.RELEASE, [lock_key(session.key)], [fence])

    async def ends(self, keys: list[str]) -> list[float | None]:
        """When each session ends (seconds since 1970), None for one that is gone; one round trip."""
        rows = await self._store.hashes(keys, ["idle_expires_ms", "absolute_expires_ms"])
        return [min(int(idle), int(absolute)) / 1000 if idle and absolute else None for idle, absolute in rows]


def _grant_fields(grant: Grant, session_id: str) -> dict[str, str | int]:
    return {
        "sealed": seal(grant.tokens, session_id),
        "refresh_ms": _ms(grant.refresh_at),
        "access_expires_ms": _ms(grant.access_expires_at),
    }


def _flat(fields: dict[str, str | int]) -> list[str | int]:
    return [part for pair in fields.items() for part in pair]


def _session(key: str, fields: dict[str, str], session_id: str) -> Session:
    return Session(
        key=key,
        reference=fields["reference"],
        identity=Identity(fields["subject"], fields["keycloak_sid"], fields["name"], tuple(json.loads(fields["roles"]))),
        grant=Grant(unseal(fields["sealed"], session_id), int(fields["refresh_ms"]) / 1000, int(fields["access_expires_ms"]) / 1000),
        idle_expires_at=int(fields["idle_expires_ms"]) / 1000,
        absolute_expires_at=int(fields["absolute_expires_ms"]) / 1000,
        refresh_mark=fields["refresh_ms"],
    )
