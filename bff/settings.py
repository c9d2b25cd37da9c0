"""Settings of the BFF: ``BIONICPRO_BFF__<FIELD>`` beside the shared sections ``KEYCLOAK``, ``REDIS`` and ``LOG``."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from service_kit import addresses
from service_kit.settings import KeycloakSettings, RedisSettings, Section, ServiceSettings
from service_kit.shares import Share

Seconds = Annotated[float, Field(gt=0)]


class BffSettings(Section):
    """How the BFF is reached, what it reaches, and its limits. Times are seconds, sizes bytes."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: str
    client_id: str = "bionicpro-bff"
    client_secret: SecretStr
    reports_url: str = "http://127.0.0.1:8001"
    static_dir: Path = Path("frontend/dist")

    session_idle_s: Seconds = 1800
    session_absolute_s: Seconds = 36_000
    sessions_per_user: int = Field(default=20, ge=1)
    login_transaction_s: Seconds = 600

    request_deadline_s: Seconds = 15
    export_deadline_s: Seconds = 60
    identity_deadline_s: Seconds = 8
    upstream_connect_s: Seconds = 2
    redis_deadline_s: Seconds = 1.5
    refresh_margin_s: Seconds = 30
    key_refetch_cooldown_s: Seconds = 5
    clock_leeway_s: float = Field(default=10, ge=0)

    stream_silence_s: Seconds = 60
    stream_check_s: Seconds = 1
    request_receipt_s: Seconds = 10
    """A request that has not come as a whole by then ends its connection."""

    calls: Share = Share(total=64, each=8, queued_each=32, queued_total=512)
    """Requests to the reports service without an answer yet, by person; exports have their own."""
    exports: Share = Share(total=8, each=2)
    """Exports under way, by person, until their last byte."""
    streams: Share = Share(total=2000, each=8)
    """Open live streams, by person."""
    connections: Share = Share(total=4000, each=512)
    """Connections of clients, by address; a trusted proxy may have all."""
    redis_connections: int = Field(default=64, ge=1)

    logins_per_minute: int = Field(default=120, ge=1)
    requests_per_minute: int = Field(default=1200, ge=1)
    searches_per_minute: int = Field(default=30, ge=1)
    """Of a support engineer."""
    visit_s: Seconds = 1800
    """How long a support engineer may look at a wearer's reports for the reason given; then it is asked for again."""
    logout_tokens_per_minute: int = Field(default=1200, ge=1)

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies, whose ``X-Forwarded-For`` names the client, for limits and audit alone; none by default."""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        addresses.networks(texts)
        return texts

    @field_validator("public_url", "reports_url")
    @classmethod
    def _origin_only(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("must be http(s)://host[:port]")
        if parts.path not in {"", "/"}:
            raise ValueError("must not have a path: it is served from the root")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _consistent(self) -> BffSettings:
        if not self.secure and not self.on_loopback:
            raise ValueError("public_url must be https, except on loopback: over plain http the session cookie could be read on the way")
        if self.session_idle_s > self.session_absolute_s:
            raise ValueError("session_idle_s must not exceed session_absolute_s")
        if self.identity_deadline_s >= self.request_deadline_s:
            raise ValueError("identity_deadline_s must be shorter than request_deadline_s, or a slow refresh could not be answered")
        return self

    @property
    def proxy_networks(self) -> tuple[addresses.Network, ...]:
        return addresses.networks(self.trusted_proxies)

    @property
    def max_authentication_age_s(self) -> int:
        """How long ago the person may have proven to Keycloak who they are when a session begins.

        A session ends by time no earlier than its idle time after that proof, so no login without a password can follow one that has. The difference between
        the two servers' clocks is taken off.
        """
        return max(1, int(self.session_idle_s - self.clock_leeway_s) - 1)

    @property
    def secure(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def on_loopback(self) -> bool:
        host = urlsplit(self.public_url).hostname or ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def public_host(self) -> str:
        """``host[:port]``, as browsers send it in the header ``Host``."""
        return urlsplit(self.public_url).netloc.lower()

    @property
    def redirect_uri(self) -> str:
        return f"{self.public_url}/auth/callback"

    @property
    def refresh_lock_s(self) -> float:
        """Longer than the slowest refresh may take, so that the lock cannot run out under it."""
        return self.identity_deadline_s + 5


class Settings(ServiceSettings):
    bff: BffSettings
    redis: RedisSettings
    keycloak: KeycloakSettings = KeycloakSettings()
