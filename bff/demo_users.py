"""Demo users in Keycloak, with fixed ids: a step of the start that can be repeated.

An existing realm is left alone by ``--import-realm``, and the admin API's "create user" chooses ids itself; partial import keeps the id that it is
given, and skips users that are there. The running BFF never imports this module and holds no administrator's account.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError

from service_kit.retries import Policy, retrying

T = TypeVar("T")
INSISTENCE = Policy(first_s=1, most_s=32, attempts=7)
TIMEOUT_S = 60
CONFLICT = 409
# Of the realm of administrators, which Keycloak makes itself: it is as guarded as the realm of the file.
MASTER: dict[str, Any] = {
    "bruteForceProtected": True,
    "permanentLockout": False,
    "failureFactor": 10,
    "waitIncrementSeconds": 60,
    "maxFailureWaitSeconds": 900,
    "maxDeltaTimeSeconds": 43_200,
    "minimumQuickLoginWaitSeconds": 60,
    "quickLoginCheckMilliSeconds": 200,
    "eventsEnabled": True,
    "eventsExpiration": 2_592_000,
    "adminEventsEnabled": True,
    "adminEventsDetailsEnabled": False,
}


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user of the realm; *user_id* is the subject of its tokens and ``user_id`` in the CRM."""

    user_id: str
    username: str
    email: str
    first_name: str
    last_name: str
    password: str = field(repr=False)
    roles: tuple[str, ...] = ("wearer",)
    locale: str = "en"


def admin(base_url: str, username: str, password: str, realm: str = "bionicpro", timeout_s: int = TIMEOUT_S) -> KeycloakAdmin:
    """A connection for *realm*, made with an administrator of the ``master`` realm."""
    return KeycloakAdmin(
        server_url=base_url.rstrip("/") + "/",
        username=username,
        password=password,
        realm_name=realm,
        user_realm_name="master",
        timeout=timeout_s,
    )


def ensure_demo_users(keycloak: KeycloakAdmin, users: Iterable[DemoUser], *, realm: str = "bionicpro") -> list[str]:
    """Make every user exist, enabled, with its id, roles and password; return the names of those added. Idempotent.

    Raises `ValueError` where a user of that name has another id (reset the instance), `KeycloakError` where the server refuses.
    """
    wanted = list(users)
    imported = keycloak.partial_import_realm(realm, {"ifResourceExists": "SKIP", "users": [_representation(user) for user in wanted]})
    added = {str(result["resourceName"]) for result in imported["results"] if result["action"] == "ADDED"}
    for user in wanted:
        if user.username not in added:
            _align(keycloak, user)
    return sorted(added)


def guard_master(keycloak: KeycloakAdmin) -> None:
    """Give the realm of administrators its brute-force protection and its records of logins and changes. Idempotent."""
    keycloak.update_realm("master", MASTER)


def _all_done(keycloak: KeycloakAdmin, users: Iterable[DemoUser]) -> list[str]:
    guard_master(keycloak)
    return ensure_demo_users(keycloak, users)


def _align(keycloak: KeycloakAdmin, user: DemoUser) -> None:
    found = keycloak.get_user_id(user.username)
    if found != user.user_id:
        raise ValueError(f"Keycloak's user {user.username} has the id {found}, not {user.user_id}: reset the instance or rename the user")
    keycloak.update_user(user.user_id, {"enabled": True, "emailVerified": True, "requiredActions": []})
    keycloak.set_user_password(user.user_id, user.password, temporary=False)
    keycloak.assign_realm_roles(user.user_id, [keycloak.get_realm_role(role) for role in user.roles])


def _representation(user: DemoUser) -> dict[str, Any]:
    return {
        "id": user.user_id,
        "username": user.username,
        "email": user.email,
        "emailVerified": True,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "enabled": True,
        "realmRoles": list(user.roles),
        "attributes": {"locale": [user.locale]},
        "credentials": [{"type": "password", "value": user.password, "temporary": False}],
    }


def administrator(environment: Mapping[str, str]) -> KeycloakAdmin:
    """A connection as the administrator in ``KC_BOOTSTRAP_ADMIN_USERNAME`` and ``…_PASSWORD``, to the server in ``BIONICPRO_KEYCLOAK__BASE_URL``. Raises KeyError."""
    return admin(
        environment.get("BIONICPRO_KEYCLOAK__BASE_URL", "http://127.0.0.1:8080"),
        environment["KC_BOOTSTRAP_ADMIN_USERNAME"],
        environment["KC_BOOTSTRAP_ADMIN_PASSWORD"],
    )


def insisting(work: Callable[[], T]) -> T:
    """Do *work*, again with a back-off where the server is too busy to answer. Raises the last KeycloakError."""
    return retrying(INSISTENCE, when=_Patience().passes)(work)


class _Patience:
    """Tells which errors pass, of the attempts at one piece of work. An attempt that nobody waited for to its end is still being done by the server."""

    def __init__(self) -> None:
        self._left_behind = False

    def passes(self, error: BaseException) -> bool:
        if not isinstance(error, KeycloakError):
            return False
        if (error.response_code or 500) >= 500:
            self._left_behind = True
            return True
        # One login of a user is checked at a time: while one is, another is refused as if the password were wrong.
        return error.response_code == CONFLICT or (self._left_behind and "invalid_grant" in str(error))


def main(arguments: list[str] | None = None) -> int:
    """``python -m bff.demo_users --users FILE``: a JSON list of objects with the fields of `DemoUser`.

    The server and its administrator as `administrator` takes them.
    """
    parser = argparse.ArgumentParser(prog="python -m bff.demo_users", description="Make the demo users exist in Keycloak.")
    parser.add_argument("--users", type=Path, required=True)
    file: Path = parser.parse_args(arguments).users
    users = [DemoUser(**entry | {"roles": tuple(entry.get("roles", ["wearer"]))}) for entry in json.loads(file.read_text())]
    try:
        added = insisting(lambda: _all_done(administrator(os.environ), users))
    except KeyError as error:
        print(f"demo users: the variable {error} is not set", file=sys.stderr)
        return 78
    except (KeycloakError, ValueError) as error:
        print(f"demo users: {error}", file=sys.stderr)
        return 1
    print(f"demo users: {len(users)} there, {len(added)} of them new")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
