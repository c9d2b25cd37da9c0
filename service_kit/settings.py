"""Typed settings of every endpoint, read from ``BIONICPRO_<SECTION>__<FIELD>`` environment variables, or from files of that name below /run/secrets.

A service composes the sections it needs into a class of its own and builds it in its entry point::

    class Settings(ServiceSettings):
        kafka: KafkaSettings
        clickhouse: ClickHouseSettings

    settings = load(Settings)

Secrets are ``SecretStr``: they print masked. Placeholders (``change-me``, ``secret``, …) are refused unless ``BIONICPRO_ENVIRONMENT=development``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NestedSecretsSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

MESSAGE_MAX_BYTES = 5 << 20  # of a producer's request; `schemas.limits.OPERATOR_REQUEST`, which stands above every dead letter
PLACEHOLDERS = frozenset({"", "change-me", "changeme", "secret", "password", "admin"})
ClientConfig = dict[str, str | int | float | bool]
EXIT_BAD_SETTINGS = 78  # EX_CONFIG of sysexits.h
SECRETS_FOLDER = Path("/run/secrets")
"""Where container engines put secrets: a file each, named as the variable that it stands for. A variable that is set goes before its file."""


class Section(BaseModel):
    """Settings of one endpoint; unknown fields are errors, so that a typo is seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(Section):
    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ssl_cafile: Path | None = None
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None

    @model_validator(mode="after")
    def _whole_account(self) -> KafkaSettings:
        """A protocol with accounts has one: a client without it would be refused by the broker again and again, and not say why."""
        if self.security_protocol.startswith("SASL") and (not self.sasl_mechanism or not self.sasl_username or self.sasl_password is None):
            raise ValueError(f"{self.security_protocol} needs SASL_MECHANISM, SASL_USERNAME and SASL_PASSWORD")
        return self

    def librdkafka(self) -> ClientConfig:
        """Configuration of a confluent-kafka client: consumers are ``read_committed``, producers place keys as Kafka's Java client does."""
        config: ClientConfig = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
        }
        if self.ssl_cafile is not None:
            config["ssl.ca.location"] = str(self.ssl_cafile)
        if self.sasl_mechanism is not None:
            config["sasl.mechanisms"] = self.sasl_mechanism
            config["sasl.username"] = self.sasl_username or ""
            config["sasl.password"] = self.sasl_password.get_secret_value() if self.sasl_password else ""
        return config

    def consumer(self, group_id: str) -> ClientConfig:
        return self.librdkafka() | {"group.id": group_id, "isolation.level": "read_committed"}

    def producer(self) -> ClientConfig:
        return self.librdkafka() | {
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "delivery.timeout.ms": 30_000,
            "message.max.bytes": MESSAGE_MAX_BYTES,
        }


class ClickHouseSettings(Section):
    host: str = "127.0.0.1"
    port: int = 9000
    database: str = "bionicpro"
    user: str
    password: SecretStr
    secure: bool = False
    ca_file: Path | None = None
    connect_timeout_s: float = 5.0
    send_receive_timeout_s: float = 30.0


class PostgresSettings(Section):
    host: str = "127.0.0.1"
    port: int = 5432
    database: str
    user: str
    password: SecretStr
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    sslrootcert: Path | None = None

    def conninfo(self) -> dict[str, str | int]:
        """Keyword arguments of ``psycopg.connect``."""
        info: dict[str, str | int] = {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.user,
            "password": self.password.get_secret_value(),
            "sslmode": self.sslmode,
            "connect_timeout": 5,
        }
        if self.sslrootcert is not None:
            info["sslrootcert"] = str(self.sslrootcert)
        if self.sslmode != "verify-full":
            # Nobody has proven who answers there: the password itself is never sent, and the server must prove that it knows its hash (RFC 5802).
            info["require_auth"] = "scram-sha-256"
        return info


class KeycloakSettings(Section):
    """``base_url`` is how services reach the server; ``public_url`` how browsers do, and the issuer's host."""

    base_url: str = "http://127.0.0.1:8080"
    public_url: str = "http://127.0.0.1:8080"
    realm: str = "bionicpro"
    ca_file: Path | None = None

    @property
    def issuer(self) -> str:
        return f"{self.public_url.rstrip('/')}/realms/{self.realm}"


class RedisSettings(Section):
    url: SecretStr


class ConnectSettings(Section):
    """*username* and *password* are a login of Connect's REST interface; without them it is asked as nobody."""

    url: str = "http://127.0.0.1:8083"
    username: str | None = None
    password: SecretStr | None = None

    @property
    def login(self) -> tuple[str, str] | None:
        """For HTTP's basic authentication."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password.get_secret_value()


class LogSettings(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "console"] = "json"


class ServiceSettings(BaseSettings):
    """Base of every service's settings."""

    model_config = SettingsConfigDict(env_prefix="BIONICPRO_", env_nested_delimiter="__", extra="ignore", frozen=True)

    environment: Literal["development", "production"] = "production"
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  it is this class
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  there are none; pydantic calls this by name
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = NestedSecretsSettingsSource(file_secret_settings, secrets_dir=SECRETS_FOLDER, secrets_dir_missing="ok")
        return init_settings, env_settings, files

    @model_validator(mode="after")
    def _refuse_placeholders(self) -> ServiceSettings:
        if self.environment == "production":
            for path, secret in _secrets(self, ""):
                if secret.get_secret_value().lower() in PLACEHOLDERS:
                    raise ValueError(f"{path} holds a placeholder: set a real secret")
        return self


def _secrets(model: BaseModel, prefix: str) -> Iterator[tuple[str, SecretStr]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        path = f"{prefix}{name}"
        if isinstance(value, SecretStr):
            yield path, value
        elif isinstance(value, BaseModel):
            yield from _secrets(value, f"{path}.")


S = TypeVar("S", bound=ServiceSettings)


def load(settings: type[S]) -> S:
    """Build *settings* from the environment, or end the process with exit code 78 and one line for each wrong variable."""
    try:
        return settings()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            variable = "BIONICPRO_" + "__".join(str(part) for part in problem["loc"]).upper()
            print(f"{variable if problem['loc'] else 'settings'}: {problem['msg']}", file=sys.stderr)
        raise SystemExit(EXIT_BAD_SETTINGS) from None
