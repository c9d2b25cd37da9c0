"""Addresses and accounts of the servers that a test asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    bootstrap_servers: str


@dataclass(frozen=True)
class ConnectEndpoint:
    url: str


@dataclass(frozen=True)
class ClickHouseEndpoint:
    """``accounts``: migrator, writer, eraser, reader, auditor."""

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
