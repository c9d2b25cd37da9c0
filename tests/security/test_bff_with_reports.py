"""The way through: Keycloak, BFF, the real reports service and its mart. Numbers are those of docs/security.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from structlog.testing import capture_logs

from reports_api.app import create_app
from service_kit.server_sent_events import events_async
from service_kit.settings import KeycloakSettings
from tests.support.bff_case import BffCase
from tests.support.bff_servers import Served
from tests.support.reports_world import Mart, MovableClock, owned, row, settings_for
from tests.support.waiting import PATIENCE_S

pytest_plugins = ["tests.support.reports_fixtures"]


@pytest.fixture
def reports_url(mart: Mart, world: BffCase) -> Iterator[str]:
    """A reports service that trusts the world's realm."""
    keycloak = KeycloakSettings(base_url=world.realm.endpoint.base_url, public_url=world.realm.endpoint.public_url, realm=world.realm.name)
    served = Served(create_app(settings_for(mart.endpoint, keycloak), MovableClock())).start()
    yield served.url
    served.stop()


def today() -> date:
    return datetime.now(UTC).date()


def fill(mart: Mart, world: BffCase) -> None:
    for login, recognised in (("anna", 11), ("boris", 22)):
        mart.put(row(world.user(login).user_id, today(), customer_name=login, recognised_count=recognised))
    mart.progress(datetime.now(UTC))


async def test_everybody_sees_their_own_report_and_nobody_elses(mart: Mart, world: BffCase, reports_url: str) -> None:
    """Cases 21 and 26 with the real service behind."""
    fill(mart, world)
    world.start(reports_url=reports_url)
    query = f"?from={today() - timedelta(days=1)}&to={today() + timedelta(days=1)}"
    for login, recognised in (("anna", 11), ("boris", 22)):
        async with await world.logged_in(login) as browser:
            answer = await browser.api(f"/reports{query}")
            assert answer.status_code == 200, answer.text
            assert [item["signals"]["recognised_count"] for item in answer.json()["items"]] == [recognised]
            again = await browser.api(f"/reports{query}", headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["bionicpro-as-of"] >= answer.headers["bionicpro-as-of"]
            export = await browser.api(f"/reports/export.csv{query}")
            assert export.headers["content-type"].startswith("text/csv")
            assert login in export.text
            refused = await browser.api("/reports?from=not-a-date")
            assert refused.headers["content-type"] == "application/problem+json"
            assert 400 <= refused.status_code < 500


async def test_a_change_of_the_mart_reaches_the_page_through_the_stream(mart: Mart, world: BffCase, reports_url: str) -> None:
    fill(mart, world)
    world.start(reports_url=reports_url)
    async with await world.logged_in("anna") as browser:
        stream = await browser.stream("/reports/stream")
        assert stream.headers["content-type"].startswith("text/event-stream")
        changed = row(world.user("anna").user_id, today(), recognised_count=99, version=10**9)
        mart.put(changed)
        async for event in events_async(stream.aiter_lines()):
            body = json.loads(event.data)
            if event.event == "report" and body["items"] and body["items"][0]["signals"]["recognised_count"] == 99:
                break
        await stream.aclose()
        assert body["user_id"] == world.user("anna").user_id


async def test_the_service_takes_only_its_own_access_tokens_and_only_for_their_subject(
    mart: Mart, world: BffCase, reports_url: str
) -> None:
    """Cases 21 and 22, at the service itself, with tokens of the real Keycloak."""
    fill(mart, world)
    world.start()
    async with await world.logged_in("anna") as browser:
        await browser.api("/reports")
    access, id_token = world.reports.requests[-1]["token"], world.gate.id_tokens[-1]
    claims = world.realm.hands.claims_of(access)
    anna, boris = world.user("anna").user_id, world.user("boris").user_id
    sign = world.realm.hands.sign
    async with httpx.AsyncClient(base_url=reports_url, trust_env=False, timeout=PATIENCE_S) as client:

        async def status(user: str, token: str) -> int:
            return (await client.get(f"/reports/{user}", headers={"authorization": f"Bearer {token}"})).status_code

        assert await status(anna, access) == 200
        assert await status(boris, access) == 404
        assert (await client.get(f"/users/{boris}", headers={"authorization": f"Bearer {access}"})).status_code == 404
        assert (await client.get(f"/reports/{anna}")).status_code == 401
        refused = (id_token, sign(claims | {"aud": "account"}), sign(claims | {"exp": 1}), sign(claims | {"iss": claims["iss"] + "x"}))
        assert [await status(anna, token) for token in refused] == [401] * 4


async def test_support_finds_a_wearer_says_why_and_reads_their_reports(mart: Mart, world: BffCase, reports_url: str) -> None:
    fill(mart, world)
    boris = world.user("boris").user_id
    mart.own("900016", owned(boris, datetime(2020, 1, 1, tzinfo=UTC), customer_name="Борис Ёлкин"))
    world.start(reports_url=reports_url)
    reports = f"/users/{boris}/reports/today"
    async with await world.logged_in("sofia") as browser:
        found = await browser.api("/users/search", "POST", json={"text": "елкин"})
        assert [(one["user_id"], one["name"]) for one in found.json()["items"]] == [(boris, "Борис Ёлкин")]
        refused = await browser.api(reports)
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (403, "reason-required")
        with capture_logs() as records:
            begun = await browser.api(f"/users/{boris}/visit", "POST", json={"reason": "Звонит: нет данных"})
            answer = await browser.api(reports)
        assert datetime.fromisoformat(begun.json()["expires_at"]) > datetime.now(UTC)
        assert answer.json()["user_id"] == boris
        access = next(record for record in records if record["event"] == "support access")
        assert (access["reason"], access["subject"], access["user_id"]) == ("Звонит: нет данных", world.user("sofia").user_id, boris)
        assert (await browser.api(f"/users/{boris}/visit", "DELETE")).json() == {"ended": True}
        assert (await browser.api(reports)).status_code == 403
        assert (await browser.api(f"/users/{boris}/visit", "DELETE")).json() == {"ended": False}
