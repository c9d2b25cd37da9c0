"""The reports service as a process of its own, and a stand-in for the identity provider that serves one public key and signs tokens with it.

The service checks signature and claims as it does in production; only who signs is another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from benchmarks.servers import LOOPBACK, Servers
from benchmarks.usage import Usage, usage_of
from benchmarks.worker import STOP_LIMIT_S, SubjectFailedError, last_words
from local import paths
from local.launch import wait_for
from local.ports import any_free
from service_kit import processes

REALM = "bionicpro"
TOKEN_S = 7_200
START_LIMIT_S = 60.0
LOOK_S = 0.01


class Issuer:
    """Serves its key on a free port until closed."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, auto_kid=True)
        keys = json.dumps({"keys": [self._key.as_dict(private=False) | {"use": "sig", "alg": "RS256"}]}).encode()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(keys)))
                self.end_headers()
                self.wfile.write(keys)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Keys)
        threading.Thread(target=self._server.serve_forever, name="issuer", daemon=True).start()
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, user_id: str) -> str:
        now = int(time.time())
        claims = {
            "iss": f"{self.url}/realms/{REALM}", "aud": ["reports-api"], "typ": "Bearer", "azp": "bionicpro-bff", "sub": user_id,
            "iat": now, "exp": now + TOKEN_S, "realm_access": {"roles": ["wearer"]},
        }  # fmt: skip
        return jwt.encode({"alg": "RS256", "kid": self._key.kid, "typ": "JWT"}, claims, self._key)


@dataclass(frozen=True)
class ReportsService:
    url: str
    issuer: Issuer
    process: subprocess.Popen[bytes]

    def client(self, user_id: str) -> httpx.Client:
        """Asks for the user's own reports: ``today``, ``?from=…``."""
        headers = {"Authorization": f"Bearer {self.issuer.token(user_id)}"}
        return httpx.Client(base_url=f"{self.url}/reports/{user_id}/", headers=headers, timeout=15.0, trust_env=False)

    def usage(self) -> Usage:
        return usage_of(self.process.pid)


@contextmanager
def reports_service(servers: Servers, **settings: object) -> Iterator[ReportsService]:
    """``python -m reports_api`` with its reader's account; *settings* are the service's (``POOL_SIZE=…``)."""
    issuer, port = Issuer(), any_free(1)[0]
    variables = servers.variables("reports-api") | {
        "BIONICPRO_KEYCLOAK__BASE_URL": issuer.url,
        "BIONICPRO_KEYCLOAK__PUBLIC_URL": issuer.url,
        "BIONICPRO_REPORTS__PORT": str(port),
        "BIONICPRO_REPORTS__RATE_PER_S": "100000",
        "BIONICPRO_REPORTS__RATE_BURST": "100000",
        **{f"BIONICPRO_REPORTS__{name}": str(value) for name, value in settings.items()},
    }
    log = servers.instance.logs / "bench-reports-api.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "reports_api"], cwd=paths.REPOSITORY, env=os.environ | variables, stdout=output, stderr=output
        )
    try:
        if wait_for([f"http://{LOOPBACK}:{port}/health/ready"], START_LIMIT_S) is not None:
            raise SubjectFailedError(f"the reports service does not answer: {last_words(log)}")
        yield ReportsService(f"http://{LOOPBACK}:{port}", issuer, process)
    finally:
        processes.end(process, STOP_LIMIT_S)
        issuer.close()


class TodayObserver:
    """``…/today`` asked again and again, ten milliseconds between: which error codes the wearer's reports hold."""

    def __init__(self, service: ReportsService, user_id: str) -> None:
        self._service, self._user_id = service, user_id
        self.described = "…/today of the reports service"

    def looks(self, stop: Event) -> Iterator[frozenset[str]]:
        """Raises SubjectFailedError where the service refuses."""
        with self._service.client(self._user_id) as http:
            while not stop.wait(LOOK_S):
                answer = http.get("today")
                if answer.status_code != 200:
                    raise SubjectFailedError(f"the reports service answers {answer.status_code}: {answer.text[:300]}")
                body: dict[str, Any] = answer.json()
                yield frozenset(code for report in body.get("items", ()) for code in report["errors"]["by_code"])
