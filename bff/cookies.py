"""The two kinds of cookies: the session's, and one for each login under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from bff import cookie_header
from bff.sealing import digest, is_identifier

MAX_LOGINS_UNDER_WAY = 6


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names and attributes of the cookies. *secure* is false only for a demo over plain http on loopback, where browsers refuse the prefix."""

    secure: bool

    @property
    def prefix(self) -> str:
        """The names of all our cookies begin with this."""
        return "__Host-bionicpro-" if self.secure else "bionicpro-"

    @property
    def session_name(self) -> str:
        return f"{self.prefix}session"

    def login_name(self, state: str) -> str:
        """One cookie a login, so that several tabs can log in at once."""
        return f"{self.prefix}login-{digest(state)[:16]}"

    def sent(self, request: Request) -> Mapping[str, str]:
        """Our cookies among those of *request*, by name; the edge has refused a request in which they are ambiguous."""
        return cookie_header.ours(request.headers.raw, self.prefix)

    def session_id(self, request: Request) -> str | None:
        """The session id that the browser sent, if it has the form of one."""
        value = self.sent(request).get(self.session_name, "")
        return value if is_identifier(value) else None

    def set_session(self, response: Response, session_id: str) -> None:
        # No Max-Age: the browser forgets it when closed; the server decides when it ends.
        response.set_cookie(self.session_name, session_id, path="/", secure=self.secure, httponly=True, samesite="strict")

    def clear_session(self, response: Response) -> None:
        response.delete_cookie(self.session_name, path="/", secure=self.secure, httponly=True, samesite="strict")

    def set_login(self, response: Response, state: str, binding: str, max_age_s: float) -> None:
        # Lax: the callback is a navigation that comes from Keycloak's site.
        response.set_cookie(
            self.login_name(state), binding, max_age=int(max_age_s), path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def clear_login(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")

    def abandoned_logins(self, request: Request) -> list[str]:
        """Names of login cookies to drop before one more is set, so that they cannot pile up until requests are refused as too large."""
        names = [name for name in self.sent(request) if name.startswith(f"{self.prefix}login-")]
        return names if len(names) >= MAX_LOGINS_UNDER_WAY else []
