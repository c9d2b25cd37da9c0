"""Many people at once, an abuser among them, and Keycloak going away in the middle: no wrong answer, no session left. `make load` does it with 200 for a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from reports_api.app import create_app
from service_kit.settings import KeycloakSettings
from tests.load.crowd import Plan, Site, run
from tests.load.people import enrol
from tests.support.bff_case import BffCase
from tests.support.bff_servers import Served
from tests.support.reports_world import Mart, settings_for
from tests.support.waiting import eventually

pytest_plugins = ["tests.support.reports_fixtures"]


@pytest.fixture
def site(mart: Mart, world: BffCase) -> Iterator[Site]:
    """Two BFFs before one reports service and its mart."""
    keycloak = KeycloakSettings(base_url=world.realm.endpoint.base_url, public_url=world.realm.endpoint.public_url, realm=world.realm.name)
    reports = Served(create_app(settings_for(mart.endpoint, keycloak))).start()
    addresses = tuple(world.start(reports_url=reports.url).url for _ in range(2))
    yield Site(world.realm, mart, world.redis, world.realm.page, addresses)
    reports.stop()


async def test_a_crowd_sees_its_own_reports_or_503_while_keycloak_is_away_and_nothing_is_left_of_it(world: BffCase, site: Site) -> None:
    # Tokens of 20 seconds; when Keycloak is away, all of them have ended, so that everybody wants a new one and cannot have it.
    world.gate.tamper = lambda answer: answer | {"expires_in": 20}

    async def away() -> None:
        world.gate.status = 503
        world.clock.ahead_s += 25.0
        await eventually(lambda: world.gate.refused > 0)
        await asyncio.sleep(3)
        world.gate.status = None

    tally = await run(site, enrol(world.realm, 12), Plan(seconds=6, pause_s=0.5, abuse_s=1.5), away, lambda _: None)
    assert tally.wrong == []
    assert tally.leaked == []
    assert set(tally.statuses) == {200, 503}
    assert tally.events > 0
    # One of them wanted a hundred exports at once, was refused most, and nobody else was.
    assert set(tally.abusers) == {200, 429}
    assert tally.abusers[429] > tally.abusers[200] > 0
