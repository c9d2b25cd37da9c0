"""Addresses and accounts of the servers that a test asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from service_kit.settings import ClientConfig, KafkaSettings


@dataclass(frozen=True)
class Account:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class PostgresEndpoint:
    """``accounts``: the superuser ``postgres``, and the roles that the source migrations make."""

    host: str
    port: int
    accounts: Mapping[str, Account]

    def conninfo(self, database: str = "postgres", user: str = "postgres") -> dict[str, str | int]:
        """Keyword arguments of ``psycopg.connect``."""
        account = self.accounts[user]
        return {"host": self.host, "port": self.port, "dbname": database, "user": account.user, "password": account.password}


@dataclass(frozen=True)
class KafkaEndpoint:
    """``accounts``: kafka (the broker's own, which may do everything), connect, processor, operator."""

    bootstrap_servers: str
    accounts: Mapping[str, Account]

    def settings(self, user: str = "kafka") -> KafkaSettings:
        account = self.accounts[user]
        return KafkaSettings(
            bootstrap_servers=self.bootstrap_servers,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN" if user == "kafka" else "SCRAM-SHA-512",
            sasl_username=account.user,
            sasl_password=SecretStr(account.password),
        )

    def client(self, user: str = "kafka") -> ClientConfig:
        """Configuration of a confluent-kafka client."""
        return self.settings(user).librdkafka()


@dataclass(frozen=True)
class ConnectEndpoint:
    """``account``: the operator's, at the REST interface."""

    address: str
    account: Account

    @property
    def url(self) -> str:
        """With the login in it, as HTTP clients take it."""
        scheme, _, rest = self.address.partition("://")
        return f"{scheme}://{self.account.user}:{self.account.password}@{rest}"


@dataclass(frozen=True)
class ClickHouseEndpoint:
    """``accounts``: migrator, writer, eraser, watcher, reader, finder, auditor, recorder."""

    host: str
    port: int
    accounts: Mapping[str, Account]

    def client(self, user: str) -> dict[str, str | int]:
        """Keyword arguments of ``clickhouse_driver.Client``."""
        account = self.accounts[user]
        return {"host": self.host, "port": self.port, "user": account.user, "password": account.password}


@dataclass(frozen=True)
class KeycloakEndpoint:
    """``page`` is the address for which the realm's client allows redirects."""

    base_url: str
    public_url: str
    realm: str
    admin: Account
    client: Account
    page: str


@dataclass(frozen=True)
class RedisEndpoint:
    host: str
    port: int
    account: Account

    @property
    def url(self) -> str:
        return f"redis://{self.account.user}:{self.account.password}@{self.host}:{self.port}/0"
