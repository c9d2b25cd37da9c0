"""Settings of the reports service, read from ``BIONICPRO_<SECTION>__<FIELD>``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from reports_api import error_texts
from service_kit.settings import ClickHouseSettings, KeycloakSettings, Section, ServiceSettings
from service_kit.shares import Share


class ReportsSettings(Section):
    """Bounds and addresses of the service. Times are in seconds unless the name says otherwise."""

    host: str = "127.0.0.1"
    port: int = Field(default=8081, ge=0, le=65535)
    audience: str = "reports-api"
    support_role: str = "support"
    authorized_parties: tuple[str, ...] = ()
    """Clients (`azp`) whose tokens are taken. Empty: every client for which the realm issues our audience."""
    leeway_s: float = Field(default=5.0, ge=0, le=60)

    jwks_timeout_s: float = Field(default=3.0, gt=0)
    jwks_cool_down_s: float = Field(default=10.0, gt=0)
    jwks_max_age_s: float = Field(default=300.0, gt=0)
    jwks_max_stale_s: float = Field(default=3600.0, gt=0)

    pool_size: int = Field(default=8, ge=1, le=128)
    pool_max_waiting: int = Field(default=128, ge=0)
    finder_pool_size: int = Field(default=2, ge=1, le=16)
    finder_max_waiting: int = Field(default=16, ge=0)
    query_deadline_s: float = Field(default=8.0, gt=0)
    watermark_max_age_s: float = Field(default=0.4, ge=0)

    answers: Share = Share(total=6, each=2, queued_each=32, queued_total=256)
    """Answers being read from the mart, by caller. Fewer than `pool_size`: live streams and exports read too."""
    exports: Share = Share(total=2, each=1, queued_each=2, queued_total=16)
    """Exports being read or made, by caller."""
    streams: Share = Share(total=1000, each=8)
    """Open live streams, by caller."""
    connections: Share = Share(total=2000, each=1500)
    """Connections, by address: all of a BFF's people come from its one."""
    error_texts: Path = error_texts.DEMO
    """What error codes mean, in words: a TOML file like the demo's."""
    export_deadline_s: float = Field(default=20.0, gt=0)
    request_receipt_s: float = Field(default=10.0, gt=0)
    """A request that has not come as a whole by then ends its connection."""

    rate_per_s: float = Field(default=100.0, gt=0)
    rate_burst: int = Field(default=300, ge=1)
    searches_per_s: float = Field(default=0.5, gt=0)
    searches_burst: int = Field(default=20, ge=1)
    """Searches of one support engineer: enough to help somebody, too few to list everybody."""

    stream_poll_s: float = Field(default=0.1, gt=0, le=0.2)
    stream_heartbeat_s: float = Field(default=10.0, gt=0)

    max_header_bytes: int = Field(default=16_384, ge=1024)
    max_target_bytes: int = Field(default=4_096, ge=256)

    @field_validator("error_texts")
    @classmethod
    def _readable(cls, path: Path) -> Path:
        error_texts.read(path)
        return path


class FinderSettings(Section):
    """The account of support's search, at the server of ``ClickHouseSettings``."""

    user: str = "finder"
    password: SecretStr


class Settings(ServiceSettings):
    """What ``python -m reports_api`` needs."""

    clickhouse: ClickHouseSettings
    finder: FinderSettings
    keycloak: KeycloakSettings = KeycloakSettings()
    reports: ReportsSettings = ReportsSettings()
