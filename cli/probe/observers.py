"""Observers look where readers look: at the view in ClickHouse, the reports service, or its live stream. Each says which error codes a wearer's reports hold."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from threading import Event
from typing import Any, Protocol

import httpx

from cli.probe.token import Tokens, subject_of
from service_kit import support_access
from service_kit.clickhouse import connected
from service_kit.server_sent_events import events
from service_kit.settings import ClickHouseSettings

VIEW_EVERY_S = 0.02
SERVICE_EVERY_S = 0.05
TIMEOUT_S = 15.0  # longer than the stream's heartbeat

Codes = frozenset[str]


class ObserverError(RuntimeError):
    """Nothing can be seen; the message says why and what to do."""


class Observer(Protocol):
    """``described`` says where it looks. ``looks`` yields what is to be seen, each time as soon as it is known, until *stop* is set."""

    described: str

    def looks(self, stop: Event) -> Iterator[Codes]: ...


class ViewObserver:
    """The view that the reports service reads, by an account of the operator: without the service's own time, which is a few milliseconds."""

    described = "the view bionicpro.user_daily_reports in ClickHouse (not through the reports service)"

    def __init__(self, settings: ClickHouseSettings, user_id: str) -> None:
        self._settings = settings
        self._user_id = user_id

    def looks(self, stop: Event) -> Iterator[Codes]:
        """Raises clickhouse_driver.errors.Error, OSError."""
        query = f"SELECT arrayJoin(mapKeys(errors_by_code)) FROM {self._settings.database}.user_daily_reports WHERE user_id = %(user)s"  # noqa: S608 - our own identifier
        with connected(self._settings, send_receive_timeout=TIMEOUT_S) as client:
            while not stop.is_set():
                yield frozenset(str(row[0]) for row in client.execute(query, {"user": self._user_id}))
                stop.wait(VIEW_EVERY_S)


class ServiceObserver:
    """``…/today`` of the reports service, asked again and again."""

    def __init__(self, url: str, tokens: Tokens, user_id: str) -> None:
        self._tokens = tokens
        self._http = _http(url, tokens, user_id)
        self.described = f"{self._http.base_url}today of the reports service"

    def looks(self, stop: Event) -> Iterator[Codes]:
        """Raises ObserverError where the service refuses, TokenError, httpx.HTTPError where it does not answer."""
        with self._http as http:
            while not stop.is_set():
                yield _codes(_accepted(http.get("today", headers=_bearer(self._tokens))).json())
                stop.wait(SERVICE_EVERY_S)


class StreamObserver:
    """``…/stream`` of the reports service: what a wearer's open page is told. Opened again when it ends with its token."""

    def __init__(self, url: str, tokens: Tokens, user_id: str) -> None:
        self._tokens = tokens
        self._http = _http(url, tokens, user_id)
        self.described = f"{self._http.base_url}stream of the reports service"

    def looks(self, stop: Event) -> Iterator[Codes]:
        """Raises ObserverError where the service refuses or stops, TokenError, httpx.HTTPError."""
        with self._http as http:
            while not stop.is_set():
                with http.stream("GET", "stream", headers=_bearer(self._tokens)) as answer:
                    yield from _events(_accepted(answer), stop)


def _events(answer: httpx.Response, stop: Event) -> Iterator[Codes]:
    """What each report event holds, until the stream ends with its token. Raises ObserverError for any other end."""
    for event in events(answer.iter_lines()):
        if stop.is_set() or "token-expired" in event.data:
            return
        if event.event == "report":
            yield _codes(json.loads(event.data))
    raise ObserverError("the reports service ended the stream: it was stopped")


def until_gone(observer: Observer, prefix: str, deadline_s: float) -> bool:
    """Whether no code with *prefix* is seen any more, within *deadline_s*."""
    until = time.monotonic() + deadline_s
    stop = Event()
    for codes in observer.looks(stop):
        if not any(code.startswith(prefix) for code in codes):
            return True
        if time.monotonic() > until:
            return False
    return False


def _http(url: str, tokens: Tokens, user_id: str) -> httpx.Client:
    """Own reports by one's own token, anybody's by the support role's."""
    path = "reports" if subject_of(tokens.fresh()) == user_id else "users"
    return httpx.Client(base_url=f"{url.rstrip('/')}/{path}/{user_id}/", timeout=TIMEOUT_S, trust_env=False)


def _bearer(tokens: Tokens) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.fresh()}"} | support_access.reason("bionicpro probe")


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.status_code != 200:
        raise ObserverError(
            f"the reports service answers {answer.status_code} at {answer.url}: the token must be a fresh access token of the probe's own login, or of the role support"
        )
    return answer


def _codes(body: dict[str, Any]) -> Codes:
    return frozenset(code for report in body.get("items", ()) for code in report["errors"]["by_code"])
