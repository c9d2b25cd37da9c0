"""The reports service under test: a real ClickHouse of its own with the reader's rights, an issuer of tokens, the service on a port."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import msgspec
from clickhouse_driver import Client
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clickhouse.migrator import Migrator
from reports_api.__main__ import listening
from reports_api.app import create_app
from reports_api.examples import ROW
from reports_api.settings import FinderSettings, ReportsSettings, Settings
from schemas.mart import MartRow
from schemas.ownership import Ownership, OwnershipDocument, encode
from service_kit import support_access
from service_kit.settings import ClickHouseSettings, KeycloakSettings
from service_kit.shares import Share
from tests.support.bff_servers import Served, free_port
from tests.support.endpoints import ClickHouseEndpoint
from tests.support.waiting import PATIENCE_S

TABLE = "bionicpro_g1.user_daily_reports"


def new_user() -> str:
    """A user nobody else's test knows."""
    return f"{secrets.token_hex(4)}-0000-4000-8000-{secrets.token_hex(6)}"


def row(user_id: str, day: date, **changes: Any) -> MartRow:
    """A mart row of *user_id* for the UTC day *day*, in partition 7, with believable content."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    base = ROW._replace(user_id=user_id, report_date=day, timezone="UTC", day_starts_at=start, day_ends_at=start + timedelta(days=1))
    return base._replace(**changes)


def micro(at: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def owned(user_id: str, starts: datetime, ends: datetime | None = None, **changes: Any) -> Ownership:
    """An interval of *user_id*'s ownership."""
    plain = Ownership(micro(starts), ends and micro(ends), user_id, "1", "Анна Петрова", "UTC", "1", "BP-2026-0017")
    return msgspec.structs.replace(plain, **changes)


class Mart:
    """The mart, written as the processor writes it."""

    def __init__(self, endpoint: ClickHouseEndpoint) -> None:
        self.endpoint = endpoint
        account = endpoint.accounts["migrator"]
        settings = ClickHouseSettings(host=endpoint.host, port=endpoint.port, user=account.user, password=SecretStr(account.password))
        migrator = Migrator(settings)
        migrator.migrate()
        migrator.close()
        self.writer = Client(**endpoint.client("writer"))
        self.migrator = Client(**endpoint.client("migrator"))

    def put(self, *rows: MartRow, deleted: bool = False) -> None:
        columns = [*MartRow._fields, "is_deleted"]
        self.writer.execute(f"INSERT INTO {TABLE} ({', '.join(columns)}) VALUES", [(*r, int(deleted)) for r in rows])

    def progress(self, as_of: datetime, partition: int = 7) -> None:
        """The partition is handled up to the source's time *as_of*."""
        values = ("prosthesis.log", partition, "t", 24, time.time_ns(), as_of)
        self.writer.execute("INSERT INTO bionicpro_g1.partition_progress VALUES", [values])

    def own(self, prosthesis_id: str, *intervals: Ownership, offset: int = 0) -> None:
        """The CRM's document of a prosthesis, as the directory sends it."""
        document = OwnershipDocument(prosthesis_id, offset, "BionicHand 3", f"SN-{prosthesis_id}", intervals)
        columns = "prosthesis_id, crm_offset, log_partition, log_offset, document"
        self.writer.execute(
            f"INSERT INTO bionicpro_g1.ownership ({columns}) VALUES", [(prosthesis_id, offset, 7, 1, encode(document).decode())]
        )

    def errors(self, prosthesis_id: str, *events: tuple[int, datetime, str, int], deleted: bool = False) -> None:
        """Raw telemetry of errors: id, time, code, severity."""
        columns = "prosthesis_id, event_id_lo, recorded_at, facets, error_code, error_severity, deleted, lsn"
        rows = [(prosthesis_id, number, at, 4, code, severity, int(deleted), 1 + deleted) for number, at, code, severity in events]
        self.writer.execute(f"INSERT INTO bionicpro_g1.telemetry_events ({columns}) VALUES", rows)

    def erase(self, prosthesis_id: str, first: datetime, end: datetime) -> None:
        """A rule of erasure, whose data nobody has removed yet."""
        rule = (prosthesis_id, "test", [micro(first)], [micro(end)])
        self.writer.execute("INSERT INTO bionicpro.erasure_rules (prosthesis_id, erasure_id, from_us, to_us) VALUES", [rule])

    def merge(self) -> None:
        self.migrator.execute(f"OPTIMIZE TABLE {TABLE} FINAL")

    def reads_of(self, user_id: str) -> list[tuple[int, int]]:
        """(rows read, rows answered) of each finished SELECT of the mart for *user_id*, oldest first."""
        self.migrator.execute("SYSTEM FLUSH LOGS")
        return self.migrator.execute(
            "SELECT read_rows, result_rows FROM system.query_log WHERE type = 'QueryFinish' AND user = 'reader' "
            "AND position(query, %(user)s) > 0 ORDER BY event_time_microseconds",
            {"user": user_id},
        )

    def close(self) -> None:
        self.writer.disconnect()
        self.migrator.disconnect()


class Issuer:
    """A little identity provider: one RSA key published over HTTP, and tokens signed with it. ``down`` makes it fail."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, auto_kid=True)
        self.fetches = 0
        self.down = False
        self.server = Served(Starlette(routes=[Route("/realms/bionicpro/protocol/openid-connect/certs", self._certs)]))

    @property
    def issuer(self) -> str:
        return f"{self.server.url}/realms/bionicpro"

    async def _certs(self, _: Request) -> Response:
        self.fetches += 1
        if self.down:
            return Response(status_code=503)
        return JSONResponse({"keys": [self.key.as_dict(private=False) | {"use": "sig", "alg": "RS256"}]})

    def claims(self, subject: str, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": ["reports-api"],
            "typ": "Bearer",
            "azp": "bionicpro-bff",
            "sub": subject,
            "iat": now,
            "exp": now + 300,
            "realm_access": {"roles": ["wearer"]},
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, subject: str, *, key: RSAKey | None = None, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        head = {"alg": "RS256", "kid": self.key.kid, "typ": "JWT"} | dict(header or {})
        return jwt.encode(head, self.claims(subject, **changes), key or self.key)

    def support(self, subject: str = "support-1", **changes: Any) -> str:
        return self.token(subject, realm_access={"roles": ["support"]}, **changes)


class MovableClock:
    """The real time, moved by what a test asks for."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Service:
    """One running reports service and how to ask it."""

    mart: Mart
    issuer: Issuer
    settings: Settings
    served: Served
    clock: MovableClock
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.served.url, timeout=PATIENCE_S, trust_env=False)

    def get(self, path: str, subject: str, **options: Any) -> httpx.Response:
        """GET with *subject*'s own valid token."""
        return self.with_token(path, self.issuer.token(subject), **options)

    def with_token(self, path: str, token: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} | dict(options.pop("headers", {}))
        return self.client.get(path, headers=headers, **options)

    def as_support(self, path: str, reason: str = "a test asks", **claims: Any) -> httpx.Response:
        """GET with the role support, and a reason."""
        return self.with_token(path, self.issuer.support(**claims), headers=support_access.reason(reason))

    def find(self, text: str, token: str | None = None) -> httpx.Response:
        """Support's search."""
        return self.with_token("/users", token or self.issuer.support(), headers=support_access.search(text))

    def own(self, user_id: str, rest: str = "", **options: Any) -> httpx.Response:
        """GET of the user's own ``/reports/{user_id}{rest}``."""
        return self.get(f"/reports/{user_id}{rest}", user_id, **options)


def settings_for(clickhouse: ClickHouseEndpoint, keycloak: KeycloakSettings, *, port: int | None = None, **own: Any) -> Settings:
    """Settings of a service that reads *clickhouse* (through *port*, if given) as the reader."""
    account = clickhouse.accounts["reader"]
    defaults: dict[str, Any] = {
        "rate_per_s": 100_000,
        "rate_burst": 100_000,
        "exports": Share(total=8, each=8, queued_each=200, queued_total=400),
        "stream_heartbeat_s": 0.5,
        "jwks_cool_down_s": 0.3,
        "watermark_max_age_s": 0.0,
        "searches_per_s": 100_000,
        "searches_burst": 100_000,
    }
    return Settings(
        finder=FinderSettings(password=SecretStr(clickhouse.accounts["finder"].password)),
        clickhouse=ClickHouseSettings(
            host=clickhouse.host, port=port or clickhouse.port, user=account.user, password=SecretStr(account.password), connect_timeout_s=2
        ),
        keycloak=keycloak,
        reports=ReportsSettings(**(defaults | own)),
    )


@contextmanager
def running(mart: Mart, issuer: Issuer, *, port: int | None = None, **own: Any) -> Iterator[Service]:
    """A service that trusts *issuer*, ready to answer."""
    keycloak = KeycloakSettings(base_url=issuer.server.url, public_url=issuer.server.url)
    chosen = free_port()
    settings = settings_for(mart.endpoint, keycloak, port=port, **own)
    clock = MovableClock()
    app = create_app(settings, clock)
    served = Served(app, chosen, listening(app, settings.reports.model_copy(update={"port": chosen}))).start()
    service = Service(mart, issuer, settings, served, clock)
    try:
        yield service
    finally:
        service.client.close()
        served.stop()


def environment_of(settings: Settings, port: int) -> dict[str, str]:
    """The variables with which ``python -m reports_api`` builds *settings*, on *port*."""
    clickhouse, keycloak = settings.clickhouse, settings.keycloak
    return {
        "BIONICPRO_CLICKHOUSE__HOST": clickhouse.host,
        "BIONICPRO_CLICKHOUSE__PORT": str(clickhouse.port),
        "BIONICPRO_CLICKHOUSE__USER": clickhouse.user,
        "BIONICPRO_CLICKHOUSE__PASSWORD": clickhouse.password.get_secret_value(),
        "BIONICPRO_FINDER__PASSWORD": settings.finder.password.get_secret_value(),
        "BIONICPRO_KEYCLOAK__BASE_URL": keycloak.base_url,
        "BIONICPRO_KEYCLOAK__PUBLIC_URL": keycloak.public_url,
        "BIONICPRO_KEYCLOAK__REALM": keycloak.realm,
        "BIONICPRO_REPORTS__PORT": str(port),
    }


@contextmanager
def process(settings: Settings) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """``python -m reports_api`` as its own process: its address and the process, whose standard error is the log."""
    port = free_port()
    variables = {name: value for name, value in os.environ.items() if not name.startswith("BIONICPRO_")} | environment_of(settings, port)
    started = subprocess.Popen([sys.executable, "-m", "reports_api"], env=variables, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_answer(f"{url}/health/live")
        yield url, started
    finally:
        started.terminate()
        started.communicate(timeout=PATIENCE_S)


def wait_for_answer(url: str, status: int = 200, limit_s: float = PATIENCE_S) -> None:
    """Return when *url* answers with *status*; AssertionError at the limit."""
    until = time.monotonic() + limit_s
    last: object = None
    while time.monotonic() < until:
        try:
            last = httpx.get(url, timeout=5, trust_env=False).status_code
        except httpx.TransportError as error:
            last = error
        if last == status:
            return
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer {status}, but: {last}")
