"""Whose data a request may see: decided here and nowhere else, before any parameter is looked at.

A stranger's user id, one that does not exist and an address that does not exist get the same answer.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import structlog
from fastapi import Path

from reports_api import metrics, problems
from reports_api.auth import MAX_ID_CHARS, Caller, InvalidTokenError, TokenVerifier
from reports_api.support_headers import reason_of
from service_kit.key_cache import KeysUnavailableError
from service_kit.problem_details import ProblemError
from service_kit.token_buckets import TokenBuckets

audit = structlog.get_logger("audit")
UserIdPath = Annotated[
    str, Path(max_length=MAX_ID_CHARS, description="The wearer's subject (`sub`)", examples=["0b8f7f0e-5b0e-4b8e-9a4e-0d3c3b5a1f01"])
]


class Grant(NamedTuple):
    """Permission to read one user's reports until the token expires."""

    user_id: str
    caller: Caller
    as_support: bool


class AccessControl:
    """Authentication, the rate limits and the two ways to reach a user's reports."""

    def __init__(self, verifier: TokenVerifier, limiter: TokenBuckets, searches: TokenBuckets, support_role: str) -> None:
        self._verifier = verifier
        self._limiter = limiter
        self._searches = searches
        self._support_role = support_role

    async def authenticate(self, authorization: list[str], request_id: str) -> Caller:
        """The caller with these Authorization headers, counted against the rate limit. Raises ProblemError: 401, 429 or 503."""
        try:
            caller = await self._verifier.verify(bearer_token(authorization))
        except InvalidTokenError as error:
            metrics.REFUSALS.labels(error.reason).inc()
            audit.warning("authentication refused", reason=error.reason, request_id=request_id)
            raise unauthorized(error.reason) from error
        except KeysUnavailableError as error:
            raise problems.unavailable("Tokens cannot be checked right now; please try again.", 2) from error
        wait = self._limiter.take(caller.subject)
        if wait > 0:
            metrics.RATE_LIMITED.inc()
            raise ProblemError(429, "too-many-requests", "Too many requests.", retry_after_s=wait)
        return caller

    def own(self, caller: Caller, user_id: str, request_id: str) -> Grant:
        """The caller's own reports. Raises the one 404 for anybody else's."""
        if caller.subject != user_id:
            self._refuse("not-own", caller, user_id, request_id)
        return Grant(user_id, caller, as_support=False)

    def support(self, caller: Caller, user_id: str, request_id: str, *, route: str, reasons: list[str]) -> Grant:
        """Any user's reports for the support role, with a reason; every use is audited. Raises the same 404 without the role, 403 without a reason."""
        if self._support_role not in caller.roles:
            self._refuse("not-support", caller, user_id, request_id)
        reason = reason_of(reasons)
        audit.info("support access", subject=caller.subject, user_id=user_id, route=route, reason=reason, request_id=request_id)
        return Grant(user_id, caller, as_support=True)

    def searching(self, caller: Caller, request_id: str) -> Caller:
        """Support's search. Raises the same 404 without the role, and 429 above its own rate."""
        if self._support_role not in caller.roles:
            self._refuse("not-support", caller, "", request_id)
        wait = self._searches.take(caller.subject)
        if wait > 0:
            metrics.RATE_LIMITED.inc()
            audit.warning("support search refused", reason="rate", subject=caller.subject, request_id=request_id)
            raise ProblemError(429, "too-many-requests", "Too many searches.", retry_after_s=wait)
        return caller

    def _refuse(self, reason: str, caller: Caller, user_id: str, request_id: str) -> None:
        metrics.REFUSALS.labels(reason).inc()
        audit.warning("access refused", reason=reason, subject=caller.subject, user_id=user_id[:MAX_ID_CHARS], request_id=request_id)
        raise problems.not_found()


def bearer_token(headers: list[str]) -> str:
    """The token of the one Authorization header. Raises InvalidTokenError."""
    if not headers:
        raise InvalidTokenError("missing")
    if len(headers) > 1:
        raise InvalidTokenError("ambiguous")
    scheme, _, token = headers[0].partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidTokenError("missing")
    return token.strip(" ")


def unauthorized(reason: str) -> ProblemError:
    """RFC 6750: without credentials only the challenge, otherwise ``invalid_token``; the reason stays in the log."""
    challenge = 'Bearer realm="reports-api"' + ("" if reason == "missing" else ', error="invalid_token"')
    return ProblemError(401, "unauthorized", "A valid access token is required.", headers={"WWW-Authenticate": challenge})
