"""The demo users' step against the real Keycloak."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator
from uuid import uuid4

import pytest
from keycloak import KeycloakAdmin

from bff.demo_users import DemoUser, admin, ensure_demo_users
from tests.support.bff_world import realm_from_file
from tests.support.endpoints import KeycloakEndpoint


@pytest.fixture(scope="module")
def realm(keycloak: KeycloakEndpoint) -> Iterator[KeycloakAdmin]:
    name = f"users-{secrets.token_hex(4)}"
    made = admin(keycloak.base_url, keycloak.admin.user, keycloak.admin.password, realm="master", timeout_s=60)
    made.create_realm(realm_from_file(name, "http://127.0.0.1:1"))
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
