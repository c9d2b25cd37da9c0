"""The audit trail: one structured record an event, with who and why, never with a token, a session id, a code or a report."""

from __future__ import annotations

import structlog

from bff.sessions import Identity, Session


class Audit:
    """Writes records with ``audit=true``. A session is named by its reference, which opens nothing."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("bff.audit").bind(audit=True)

    def login_succeeded(self, session: Session, client: str) -> None:
        self._log.info("login_succeeded", client=client, **_who(session))

    def login_refused(self, reason: str, client: str) -> None:
        self._log.warning("login_refused", reason=reason, client=client)

    def logged_out(self, session: Session, *, single_sign_on_ended: bool) -> None:
        self._log.info("logged_out", single_sign_on_ended=single_sign_on_ended, **_who(session))

    def backchannel_logout(self, subject: str | None, ended: int) -> None:
        self._log.info("backchannel_logout", subject=subject, sessions_ended=ended)

    def backchannel_logout_refused(self, reason: str, client: str) -> None:
        self._log.warning("backchannel_logout_refused", reason=reason, client=client)

    def session_timed_out(self, session: Session) -> None:
        self._log.info("session_timed_out", **_who(session))

    def session_killed(self, session: Session, reason: str) -> None:
        self._log.warning("session_killed", reason=reason, **_who(session))

    def request_refused(self, kind: str, *, method: str, path: str, client: str, subject: str | None) -> None:
        self._log.warning("request_refused", kind=kind, method=method, path=path, client=client, subject=subject)

    def support_access(self, session: Session, subject: str, path: str) -> None:
        self._log.info("support_access", of=subject, path=path, **_who(session))

    def support_search(self, session: Session) -> None:
        """Who was shown stands in the reports service's record; the text in none."""
        self._log.info("support_search", **_who(session))

    def visit_begun(self, session: Session, subject: str, reason: str) -> None:
        self._log.info("visit_begun", of=subject, reason=reason, **_who(session))

    def visit_ended(self, session: Session, subject: str) -> None:
        self._log.info("visit_ended", of=subject, **_who(session))

    def export(self, session: Session, path: str) -> None:
        self._log.info("export", path=path, **_who(session))

    def note(self, event: str, session: Session) -> None:
        self._log.warning(event, **_who(session))


def _who(session: Session) -> dict[str, str]:
    identity: Identity = session.identity
    return {"subject": identity.subject, "session": session.reference}
