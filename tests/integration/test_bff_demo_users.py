"""The demo users' step and the page's addresses against the real Keycloak."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from keycloak import KeycloakAdmin

from bff.demo_users import MASTER, DemoUser, admin, ensure_demo_users, guard_master
from bff.realm_settings import MailSettings, follow, settle
from tests.support.bff_case import REALM_FILE, realm_from_file
from tests.support.endpoints import KeycloakEndpoint
from tests.support.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def realm(keycloak: KeycloakEndpoint) -> Iterator[KeycloakAdmin]:
    name = f"users-{secrets.token_hex(4)}"
    made = admin(keycloak.base_url, keycloak.admin.user, keycloak.admin.password, realm="master", timeout_s=60)
    made.create_realm(realm_from_file(name, "http://127.0.0.1:1", "http://127.0.0.1:1"))
    yield admin(keycloak.base_url, keycloak.admin.user, keycloak.admin.password, realm=name, timeout_s=60)
    made.delete_realm(name)


def user(login: str, role: str) -> DemoUser:
    password = secrets.token_urlsafe(12)
    return DemoUser(str(uuid4()), login, f"{login}@example.org", "Ольга", "Test", password, (role,), "ru")


def test_users_get_their_fixed_ids_and_roles_and_a_second_run_changes_nothing(realm: KeycloakAdmin) -> None:
    name = realm.connection.realm_name
    users = [user("olga", "wearer"), user("sam", "support")]
    assert ensure_demo_users(realm, users, realm=name) == ["olga", "sam"]
    before = realm.get_users()
    assert ensure_demo_users(realm, users, realm=name) == []
    assert realm.get_users() == before
    for wanted in users:
        assert realm.get_user_id(wanted.username) == wanted.user_id
        assert {role["name"] for role in realm.get_realm_roles_of_user(wanted.user_id)} >= set(wanted.roles)
    assert realm.get_user(users[0].user_id)["attributes"]["locale"] == ["ru"]


def test_a_user_that_was_disabled_is_put_right_again(realm: KeycloakAdmin) -> None:
    name, one = realm.connection.realm_name, user("mia", "wearer")
    ensure_demo_users(realm, [one], realm=name)
    realm.update_user(one.user_id, {"enabled": False, "requiredActions": ["UPDATE_PASSWORD"]})
    ensure_demo_users(realm, [one], realm=name)
    found = realm.get_user(one.user_id)
    assert found["enabled"] is True
    assert found["requiredActions"] == []


def test_a_name_that_belongs_to_another_id_is_an_error_that_says_what_to_do(realm: KeycloakAdmin) -> None:
    name, one = realm.connection.realm_name, user("noah", "wearer")
    ensure_demo_users(realm, [one], realm=name)
    other = dataclasses.replace(one, user_id=str(uuid4()))
    with pytest.raises(ValueError, match="reset the instance"):
        ensure_demo_users(realm, [other], realm=name)


def test_the_realms_client_follows_the_page_to_another_port_and_a_second_run_changes_nothing(realm: KeycloakAdmin) -> None:
    moved = {"BIONICPRO_BFF_PUBLIC_URL": "http://localhost:23456", "BIONICPRO_BFF_BACKCHANNEL_URL": "http://127.0.0.1:23456"}
    file = json.loads(REALM_FILE.read_text(encoding="utf-8"))
    before = client_of(realm)
    assert follow(realm, file, moved) == ["bionicpro-bff"]
    after = client_of(realm)
    assert after["redirectUris"] == ["http://localhost:23456/auth/callback"]
    assert after["attributes"]["post.logout.redirect.uris"] == "http://localhost:23456/"
    assert after["attributes"]["backchannel.logout.url"] == "http://127.0.0.1:23456/auth/backchannel-logout"
    assert "http://127.0.0.1:1" not in json.dumps(after)
    assert {name for name in before if before[name] != after[name]} == {"rootUrl", "redirectUris", "attributes"}
    assert follow(realm, file, moved) == []


def test_a_realm_gets_its_look_and_a_mail_server_with_a_password_once(realm: KeycloakAdmin) -> None:
    file = json.loads(REALM_FILE.read_text(encoding="utf-8"))
    realm.update_realm(str(realm.connection.realm_name), {"loginTheme": "keycloak"})
    mail = MailSettings.model_validate({"host": "mail.example.org", "sender": "reports@example.org", "username": "u", "password": "p"})
    assert settle(realm, file, mail) == ["loginTheme", "resetPasswordAllowed", "smtpServer"]
    assert settle(realm, file, mail) == []
    assert settle(realm, file, MailSettings()) == ["resetPasswordAllowed", "smtpServer"]
    assert settle(realm, file, MailSettings()) == []


def client_of(realm: KeycloakAdmin) -> dict[str, Any]:
    found: dict[str, Any] = realm.get_client(realm.get_client_id("bionicpro-bff"))
    return found


def test_the_realm_of_administrators_is_guarded_and_its_logins_are_recorded(keycloak: KeycloakEndpoint) -> None:
    master = admin(keycloak.base_url, keycloak.admin.user, keycloak.admin.password, realm="master", timeout_s=60)
    guard_master(master)
    found = master.get_realm("master")
    assert {name: found[name] for name in MASTER} == MASTER
    assert found["bruteForceProtected"] is True
    assert found["eventsEnabled"] is True


def test_the_administrators_pages_are_not_on_the_public_address(keycloak: KeycloakEndpoint) -> None:
    for path in ("/admin/", "/admin/master/console/", "/admin/bionicpro/console/"):
        assert httpx.get(f"{keycloak.base_url}{path}", timeout=PATIENCE_S, trust_env=False, follow_redirects=True).status_code == 404, path
