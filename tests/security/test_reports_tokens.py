"""Cases 8, 21, 22, 24 and 27 at the reports service, with tokens and keys of a real Keycloak."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from reports_api.app import create_app
from service_kit import support_access
from service_kit.settings import KeycloakSettings
from tests.support.bff_case import Realm
from tests.support.bff_servers import KeycloakGate, Served
from tests.support.days import today
from tests.support.reports_world import Mart, row, settings_for
from tests.support.waiting import PATIENCE_S

pytest_plugins = ["tests.support.reports_fixtures"]

CLIENT = "reports-tests"
ABOVE_ALL = 10**12  # a version that no row of another test has


@dataclass
class BffCase:
    """A service that trusts the test realm; ``gate`` stands between it and Keycloak."""

    realm: Realm
    gate: KeycloakGate
    url: str
    mart: Mart

    def tokens(self, login: str, client: str = CLIENT) -> dict[str, Any]:
        """Keycloak's answer to a login with password: ``access_token``, ``id_token``, ``refresh_token``."""
        user = self.realm.users[login]
        form = {"grant_type": "password", "client_id": client, "username": user.username, "password": user.password, "scope": "openid"}
        answer = httpx.post(
            f"{self.realm.endpoint.base_url}/realms/{self.realm.name}/protocol/openid-connect/token",
            data=form,
            timeout=PATIENCE_S,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, token: str | None, **headers: str) -> httpx.Response:
        sent = headers | ({"Authorization": f"Bearer {token}"} if token is not None else {})
        return httpx.get(self.url + path, headers=sent, timeout=PATIENCE_S, trust_env=False)

    def forged(self, login: str, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token with Keycloak's own claims for *login*, changed, and signed with a key that the realm publishes."""
        claims = {name: value for name, value in (claims_of(self.tokens(login)["access_token"]) | changes).items() if value is not None}
        return self.realm.hands.sign(claims, **(header or {}))

    def user(self, login: str) -> str:
        return self.realm.users[login].user_id


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def make_client(realm: Realm, name: str, audience: str | None) -> None:
    """A client that logs in with a password, in the test realm only."""
    mapper = {
        "name": "audience",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.custom.audience": audience or "", "access.token.claim": "true", "id.token.claim": "false"},
    }
    realm.admin.create_client(
        {
            "clientId": name,
            "publicClient": True,
            "directAccessGrantsEnabled": True,
            "standardFlowEnabled": False,
            "fullScopeAllowed": True,
            "protocolMappers": [mapper] if audience else [],
        }
    )


@pytest.fixture(scope="module")
def world(bff_realm: Realm, mart: Mart) -> Iterator[BffCase]:
    make_client(bff_realm, CLIENT, "reports-api")
    make_client(bff_realm, "elsewhere", "another-api")
    gate = KeycloakGate(bff_realm.endpoint.base_url)
    gate.server.start()
    keycloak = KeycloakSettings(base_url=gate.server.url, public_url=bff_realm.endpoint.public_url, realm=bff_realm.name)
    served = Served(create_app(settings_for(mart.endpoint, keycloak))).start()
    for login in ("anna", "boris"):
        mart.put(row(bff_realm.users[login].user_id, today(), customer_name=f"secret of {login}", version=ABOVE_ALL))
    yield BffCase(bff_realm, gate, served.url, mart)
    served.stop()
    gate.server.stop()


def test_keycloaks_access_token_opens_its_owners_reports(world: BffCase) -> None:
    answer = world.get(f"/reports/{world.user('anna')}/today", world.tokens("anna")["access_token"])
    assert answer.status_code == 200
    assert answer.json()["items"][0]["customer_name"] == "secret of anna"


@pytest.mark.parametrize("rest", ["", "/today", "/summary", f"/hours/{today()}", "/stream", "/export.csv", "/export.pdf", "/nonsense"])
def test_21_a_strangers_reports_an_unknown_user_and_an_unknown_address_look_the_same(world: BffCase, rest: str) -> None:
    token = world.tokens("anna")["access_token"]
    answers = [world.get(f"/{base}/{user}{rest}", token) for base in ("reports", "users") for user in (world.user("boris"), "nobody")]
    bodies = [{name: value for name, value in answer.json().items() if name != "instance"} for answer in answers]
    assert {answer.status_code for answer in answers} == {404}
    assert all(body == bodies[0] for body in bodies)
    headers = [{name for name in answer.headers if name != "date"} for answer in answers]
    assert all(names == headers[0] for names in headers)
    assert all("secret" not in answer.text for answer in answers)


def test_21_a_refusal_is_audited_with_both_users_and_without_the_token(world: BffCase, capsys: pytest.CaptureFixture[str]) -> None:
    token = world.tokens("anna")["access_token"]
    world.get(f"/reports/{world.user('boris')}/today", token)
    lines = [line for line in capsys.readouterr().out.splitlines() if "access refused" in line]
    assert len(lines) == 1
    assert world.user("anna") in lines[0]
    assert world.user("boris") in lines[0]
    assert "eyJ" not in lines[0]


def test_21_parameters_of_a_stranger_are_not_even_validated(world: BffCase) -> None:
    token = world.tokens("anna")["access_token"]
    assert world.get(f"/reports/{world.user('boris')}?from=nonsense&limit=0", token).status_code == 404


def test_24_headers_do_not_say_who_someone_is(world: BffCase) -> None:
    token = world.tokens("anna")["access_token"]
    spoofed = {"X-User-Id": world.user("boris"), "X-Forwarded-User": world.user("boris"), "X-Forwarded-For": "127.0.0.1"}
    assert world.get(f"/reports/{world.user('boris')}/today", token, **spoofed).status_code == 404
    assert world.get(f"/reports/{world.user('boris')}/today", None, **spoofed).status_code == 401


def test_support_role_of_keycloak_opens_users_but_not_their_own_path(world: BffCase) -> None:
    token = world.tokens("sofia")["access_token"]
    assert (
        world.get(f"/users/{world.user('anna')}/today", token, **support_access.reason("a test looks")).json()["items"][0]["customer_name"]
        == "secret of anna"
    )
    assert world.get(f"/reports/{world.user('anna')}/today", token).status_code == 404


def assert_unauthorized(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "eyJ" not in answer.text


def test_22_no_token_is_401(world: BffCase) -> None:
    path = f"/reports/{world.user('anna')}/today"
    assert_unauthorized(world.get(path, None))
    assert_unauthorized(world.get(path, None, Authorization="Bearer"))
    assert_unauthorized(world.get(path, None, Authorization="Basic YTpi"))
    assert_unauthorized(world.get(f"{path}?access_token={world.tokens('anna')['access_token']}", None))


@pytest.mark.parametrize("kind", ["id_token", "refresh_token"])
def test_22_other_tokens_of_the_same_login_are_401(world: BffCase, kind: str) -> None:
    assert_unauthorized(world.get(f"/reports/{world.user('anna')}/today", world.tokens("anna")[kind]))


def test_22_an_id_token_is_401_even_with_our_audience(world: BffCase) -> None:
    claims = claims_of(world.tokens("anna")["id_token"]) | {"aud": ["reports-api"]}
    assert_unauthorized(world.get(f"/reports/{world.user('anna')}/today", world.realm.hands.sign(claims)))


def test_22_an_access_token_for_another_audience_is_401(world: BffCase) -> None:
    token = world.tokens("anna", client="elsewhere")["access_token"]
    assert "another-api" in claims_of(token)["aud"]
    assert_unauthorized(world.get(f"/reports/{world.user('anna')}/today", token))


def test_22_another_realms_token_is_401(world: BffCase) -> None:
    account = world.realm.endpoint.admin
    form = {"grant_type": "password", "client_id": "admin-cli", "username": account.user, "password": account.password}
    master = httpx.post(
        f"{world.realm.endpoint.base_url}/realms/master/protocol/openid-connect/token", data=form, timeout=PATIENCE_S, trust_env=False
    ).json()["access_token"]
    assert_unauthorized(world.get(f"/reports/{world.user('anna')}/today", master))


def test_a_forged_token_that_changes_nothing_is_taken_so_the_refusals_below_mean_something(world: BffCase) -> None:
    assert world.get(f"/reports/{world.user('anna')}/today", world.forged("anna")).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example/realms/bionicpro"},
        {"iss": None},
        {"aud": "account"},
        {"aud": None},
        {"aud": ["reports-api-2"]},
        {"exp": -60},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"nbf": 600},
        {"iat": 600},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": None},
        {"sub": None},
        {"sub": ["x"]},
        {"azp": None},
    ],
    ids=str,
)
def test_22_a_rightly_signed_token_with_one_wrong_claim_is_401(world: BffCase, changes: dict[str, Any]) -> None:
    """Times are seconds from now."""
    now = int(time.time())
    changes = {name: now + value if type(value) is int else value for name, value in changes.items()}
    assert_unauthorized(world.get(f"/reports/{world.user('anna')}/today", world.forged("anna", **changes)))


def test_6_unsigned_symmetric_and_foreign_signatures_are_401(world: BffCase) -> None:
    path, token = f"/reports/{world.user('anna')}/today", world.tokens("anna")["access_token"]
    claims, kid = claims_of(token), world.realm.hands.kid
    none_head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": kid}).encode()).decode().rstrip("=")
    public = world.realm.hands.key.as_pem(private=False)
    attempts = [
        f"{none_head}.{token.split('.')[1]}.",
        jwt.encode({"alg": "HS256", "kid": kid}, claims, OctKey.import_key(base64.b64encode(public)), algorithms=["HS256"]),
        jwt.encode({"alg": "RS256", "kid": kid}, claims, RSAKey.generate_key(2048)),
        jwt.encode({"alg": "RS512", "kid": kid}, claims, world.realm.hands.key, algorithms=["RS512"]),
        jwt.encode({"alg": "RS256"}, claims, world.realm.hands.key),
        token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB"),
        ".".join(token.split(".")[:2]),
        "a.b.c",
        "x" * 9000,
    ]
    for attempt in attempts:
        assert_unauthorized(world.get(path, attempt))


def test_8_a_flood_of_unknown_key_ids_costs_a_bounded_number_of_fetches(world: BffCase) -> None:
    path, token = f"/reports/{world.user('anna')}/today", world.tokens("anna")["access_token"]
    world.get(path, token)
    began, before = time.monotonic(), world.gate.key_fetches
    for number in range(100):
        assert_unauthorized(world.get(path, world.realm.hands.sign(claims_of(token), kid=f"unknown-{number}")))
    allowed = (time.monotonic() - began) / 0.3 + 2
    assert world.gate.key_fetches - before <= allowed
    assert world.get(path, token).status_code == 200


def test_8_a_key_that_the_realm_adds_is_taken_without_a_restart(world: BffCase) -> None:
    path = f"/reports/{world.user('anna')}/today"
    component = {
        "name": "fresh",
        "providerId": "rsa-generated",
        "providerType": "org.keycloak.keys.KeyProvider",
        "parentId": world.realm.admin.get_realm(world.realm.name)["id"],
        "config": {
            "priority": [str(int(time.time()) + 60)],
            "keySize": ["2048"],
            "enabled": ["true"],
            "active": ["true"],
            "algorithm": ["RS256"],
        },
    }
    old = world.tokens("anna")["access_token"]
    world.realm.admin.create_component(component)
    new = world.tokens("anna")["access_token"]
    assert old.split(".")[0] != new.split(".")[0]
    time.sleep(0.4)  # the cool-down of this service after its last fetch
    assert world.get(path, new).status_code == 200
    assert world.get(path, old).status_code == 200


def test_27_keycloak_down_does_not_matter_while_keys_are_known_and_at_start_is_a_503_that_heals(world: BffCase) -> None:
    path, token = f"/reports/{world.user('anna')}/today", world.tokens("anna")["access_token"]
    assert world.get(path, token).status_code == 200
    world.gate.status = 503
    keycloak = KeycloakSettings(base_url=world.gate.server.url, public_url=world.realm.endpoint.public_url, realm=world.realm.name)
    fresh = Served(create_app(settings_for(world.mart.endpoint, keycloak))).start()
    try:
        assert world.get(path, token).status_code == 200
        late = BffCase(world.realm, world.gate, fresh.url, world.mart)
        answer = late.get(path, token)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert int(answer.headers["retry-after"]) >= 1
        assert late.get("/health/ready", None).status_code == 503
        assert late.get("/health/live", None).status_code == 200
        world.gate.status = None
        until = time.monotonic() + 20
        while late.get(path, token).status_code != 200:
            assert time.monotonic() < until, "the service did not recover by itself"
            time.sleep(0.1)
    finally:
        world.gate.status = None
        fresh.stop()
