"""The built page, served with the BFF's headers, over answers that a test sets: for states of the page that a whole system is seldom in.

The answers are the reports service's own examples, which a test holds to its schemas. What the page does with real ones is tested on the demo.
"""

from __future__ import annotations

import copy
import json
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from bff.pages import FORMS, accepted_codings
from bff.security_headers import security_headers
from local import frontend
from reports_api import detail_schemas, error_texts, schemas
from reports_api.examples import EXAMPLES
from reports_api.languages import Language

BUILT = frontend.FOLDER / "dist"
API = ("/auth", "/reports", "/users")
SESSION = {"authenticated": True, "name": "Anna Petrova", "roles": ["wearer"], "expires_at": None, "idle_expires_at": None}
STREAM = "/reports/stream"
DAY = "2026-11-23"


def today(**changes: Any) -> dict[str, Any]:
    """Today's example; *changes* are of its one report: ``critical`` (errors), ``battery`` (percent), ``quiet`` (since when nothing has come)."""
    body: dict[str, Any] = copy.deepcopy(EXAMPLES[schemas.Today])
    report = body["items"][0]
    report["errors"] = {"count": 9, "critical_count": changes.get("critical", 0), "by_code": {"GRIP_TIMEOUT": 9}}
    report["battery"]["last_percent"] = changes.get("battery", 54.0)
    last = datetime.fromisoformat(report["last_event_at"]) + changes.get("quiet", timedelta())
    return body | {"as_of": last.isoformat()}


def answers() -> dict[str, Any]:
    """What the API says of a wearer with a day like any other, by path."""
    return {
        "/auth/session": SESSION,
        "/reports/today": today(),
        "/reports": EXAMPLES[schemas.Page] | {"next_cursor": None},
        "/reports/summary": EXAMPLES[schemas.Summary],
        "/reports/typical-day": EXAMPLES[detail_schemas.TypicalDay],
        f"/reports/errors/{DAY}": EXAMPLES[detail_schemas.ErrorTimes],
        "/reports/prostheses": EXAMPLES[detail_schemas.Prostheses],
        "/users/search": EXAMPLES[detail_schemas.Wearers],
    }


class StandIn:
    """A server on a port of its own. What is set here holds from the next request on."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.closing = threading.Event()
        self.reset()

    def reset(self) -> None:
        self.answers = answers()
        self.refused: dict[str, int] = {}
        """Status by the beginning of a path."""
        self.silent: tuple[str, ...] = ()
        """Beginnings of paths that get no answer."""
        self.contact: dict[Language, dict[str, str]] = {}
        self.streams: list[Queue[bytes]] = []

    def push(self, body: dict[str, Any]) -> None:
        """*body* is today from now on; open pages are told."""
        self.answers["/reports/today"] = body
        event = f"event: report\nid: {id(body)}\ndata: {json.dumps(body)}\n\n".encode()
        for stream in self.streams:
            stream.put(event)

    def answer(self, path: str, language: Language) -> Any:
        """The JSON of *path*; None: there is none."""
        if path.startswith("/users/") and "/reports" in path:
            path = path[path.index("/reports") :]
        if path == "/reports/error-texts":
            texts: dict[str, Any] = msgspec.to_builtins(error_texts.read().of(language))
            return texts | {"contact": self.contact.get(language)}
        return self.answers.get(path)


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """The server, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    stand_in = server.stand_in = StandIn(f"http://localhost:{server.server_port}")  # type: ignore[attr-defined]  # handlers find it there
    thread = threading.Thread(target=server.serve_forever, name="stand-in")
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _stand_in(self) -> StandIn:
        stand_in: StandIn = self.server.stand_in  # type: ignore[attr-defined]
        return stand_in

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if not asked.path.startswith(API):
            self._file(asked.path)
            return
        if asked.path.startswith(self._stand_in.silent):
            self._stand_in.closing.wait()
            self.close_connection = True
            return
        status = next((status for start, status in self._stand_in.refused.items() if asked.path.startswith(start)), 200)
        language: Language = "ru" if parse_qs(asked.query).get("lang") == ["ru"] else "en"
        body = self._stand_in.answer(asked.path, language)
        if status == 200 and asked.path.endswith(STREAM):
            self._stream()
        elif status == 200 and body is not None:
            self._send(200, "application/json", json.dumps(body).encode())
        else:
            self._send(404 if status == 200 else status, "application/problem+json", b'{"title": "no"}')

    def do_POST(self) -> None:
        self.do_GET()

    def _stream(self) -> None:
        events: Queue[bytes] = Queue()
        self._stand_in.streams.append(events)
        self._head(200, "text/event-stream", {"connection": "close"})
        while not self._stand_in.closing.is_set():
            try:
                self.wfile.write(events.get(timeout=1) if not events.empty() else _BEAT)
                self.wfile.flush()
            except OSError:
                return
            if events.empty():
                self._stand_in.closing.wait(0.2)

    def _file(self, path: str) -> None:
        file = BUILT / path.lstrip("/")
        if not file.is_file():
            file = BUILT / "index.html"
        headers = {}
        for coding in accepted_codings(self.headers.get("accept-encoding", "")):
            compressed = file.with_name(file.name + FORMS[coding])
            if compressed.is_file():
                headers["content-encoding"] = coding
                self._send(200, _type_of(file.name), compressed.read_bytes(), headers)
                return
        self._send(200, _type_of(file.name), file.read_bytes())

    def _send(self, status: int, media_type: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        length = int(self.headers.get("content-length", 0))
        self.rfile.read(length)
        self._head(status, media_type, (headers or {}) | {"content-length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: int, media_type: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (security_headers(secure=False) | {"content-type": media_type, "cache-control": "no-store"} | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing: the browser's own record tells more."""


# Without a freshness of its own, so that the page's numbers stay as they are.
_BEAT = b": beat\n\n"


def _type_of(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
