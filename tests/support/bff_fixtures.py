"""Fixtures of the BFF's tests: the realm and the gates once a run, a fresh world a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from bff.redis_client import PREFIX
from tests.support.bff_case import BffCase, Realm, make_realm
from tests.support.bff_servers import EchoReports, KeycloakGate, free_port
from tests.support.endpoints import KeycloakEndpoint, RedisEndpoint
from tests.support.system import System
from tests.support.tcp_proxy import TcpProxies, TcpProxy


@pytest.fixture(scope="session")
def bff_realm(system: System, keycloak: KeycloakEndpoint) -> Iterator[Realm]:
    """A realm of the BFF's tests, made from the realm file; deleted at the end."""
    port = free_port()
    realm = make_realm(keycloak, f"http://127.0.0.1:{port}", system.backend.reach(port))
    yield realm
    realm.admin.delete_realm(realm.name)


@pytest.fixture(scope="session")
def bff_surroundings(bff_realm: Realm, redis: RedisEndpoint) -> Iterator[tuple[TcpProxy, KeycloakGate, EchoReports]]:
    gates = TcpProxies()
    redis_gate, gate, reports = gates.make(redis.port, redis.host), KeycloakGate(bff_realm.endpoint.base_url), EchoReports()
    gate.server.start()
    reports.server.start()
    yield redis_gate, gate, reports
    gate.server.stop()
    reports.server.stop()
    gates.close()


@pytest.fixture
def world(bff_realm: Realm, redis: RedisEndpoint, bff_surroundings: tuple[TcpProxy, KeycloakGate, EchoReports]) -> Iterator[BffCase]:
    """Everything around a BFF; start one, or several, with ``world.start()``."""
    redis_gate, gate, reports = bff_surroundings
    world = BffCase(bff_realm, redis, redis_gate, gate, reports)
    forget_attempts(redis)
    yield world
    world.stop()
    forget_attempts(redis)
    redis_gate.open()
    gate.reset()
    reports.reset()


def forget_attempts(redis: RedisEndpoint) -> None:
    """Start the rate limits anew. All tests log in from one address, and a minute of them is more than a BFF with the usual limits allows."""
    with Redis.from_url(redis.url) as client:
        for key in client.scan_iter(f"{PREFIX}:rate:*"):
            client.delete(key)


@pytest.fixture
def changed_realm(bff_realm: Realm) -> Iterator[Realm]:
    """The realm, for a test that changes it; put back afterwards."""
    yield bff_realm
    bff_realm.restore()
