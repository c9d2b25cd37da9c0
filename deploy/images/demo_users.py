"""Make the demo's logins exist in Keycloak, each with the password in ``BIONICPRO_DEMO_<LOGIN>``, and give the realm what depends on where it runs:
the one-shot container ``demo-users``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bff import demo_users, realm_settings
from simulator.demo_data import USERS, DemoUser

EXIT_BAD_SETTINGS = 78
REALM = Path(__file__).resolve().parents[2] / "deploy" / "keycloak" / "bionicpro-realm.json"


def variable_of(login: str) -> str:
    """``ivan.petrov`` → ``BIONICPRO_DEMO_IVAN_PETROV``."""
    return f"BIONICPRO_DEMO_{login.replace('.', '_').upper()}"


def representations(environment: Mapping[str, str]) -> list[dict[str, object]]:
    """What ``bff.demo_users`` reads. Raises ValueError naming every password that is not set."""
    missing = [variable_of(user.login) for user in USERS if not environment.get(variable_of(user.login))]
    if missing:
        raise ValueError(f"not set: {', '.join(missing)}; run deploy/make-secrets")
    return [_representation(user, environment[variable_of(user.login)]) for user in USERS]


def _representation(user: DemoUser, password: str) -> dict[str, object]:
    first, _, last = user.full_name.partition(" ")
    return {
        "user_id": str(user.user_id),
        "username": user.login,
        "email": user.email,
        "first_name": first,
        "last_name": last,
        "password": password,
        "roles": [user.role],
    }


def main() -> int:
    try:
        users = representations(os.environ)
    except ValueError as error:
        print(f"demo users: {error}", file=sys.stderr)
        return EXIT_BAD_SETTINGS
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(users, file)
        file.flush()
        return demo_users.main(["--users", file.name]) or realm_settings.main(["--realm", str(REALM)])


if __name__ == "__main__":
    raise SystemExit(main())
