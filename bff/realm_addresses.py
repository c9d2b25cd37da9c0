"""The addresses of the page in a realm that exists already: a step of the start that can be repeated.

``--import-realm`` leaves an existing realm alone, so a page whose port has moved would be refused at its login (``redirect_uri``), and logouts would be
told to whoever is at the old address. The realm file is the only place that says which fields hold an address: those that name a variable of the page.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError

from bff.demo_users import administrator, insisting

VARIABLE = re.compile(r"\$\{(BIONICPRO_BFF_(?:PUBLIC|BACKCHANNEL)_URL)\}")


def addresses(client: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """The fields of *client*, as the realm file has it, that name an address of the page, filled in. Raises KeyError naming a variable that is missing."""
    fields = {name: value for name, value in client.items() if name != "attributes"} | client.get("attributes", {})
    found = {name: _filled(value, variables) for name, value in fields.items() if VARIABLE.search(json.dumps(value))}
    attributes = {name: value for name, value in found.items() if name in client.get("attributes", {})}
    return {name: value for name, value in found.items() if name not in attributes} | ({"attributes": attributes} if attributes else {})


def changed(client: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """*client* as the server has it with the *wanted* addresses in it; None where it has them already."""
    merged = dict(client) | dict(wanted) | {"attributes": dict(client.get("attributes", {})) | dict(wanted.get("attributes", {}))}
    return None if merged == dict(client) else merged


def follow(keycloak: KeycloakAdmin, realm: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
    """Give every client of *realm* the page's present addresses; the names of those that had others. Idempotent.

    Raises `KeycloakError` where the server refuses.
    """
    updated = []
    for client in realm["clients"]:
        wanted = addresses(client, variables)
        internal_id = keycloak.get_client_id(client["clientId"]) if wanted else None
        if internal_id is not None and (new := changed(keycloak.get_client(internal_id), wanted)) is not None:
            keycloak.update_client(internal_id, new)
            updated.append(str(client["clientId"]))
    return updated


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_filled(entry, variables) for entry in value]
    return VARIABLE.sub(lambda found: variables[found[1]], value) if isinstance(value, str) else value


def main(arguments: list[str] | None = None) -> int:
    """``python -m bff.realm_addresses --realm FILE``: the server and its administrator as for ``bff.demo_users``, the addresses from the file's variables."""
    parser = argparse.ArgumentParser(prog="python -m bff.realm_addresses", description="Let the realm's clients follow the page's address.")
    parser.add_argument("--realm", type=Path, required=True)
    realm = json.loads(parser.parse_args(arguments).realm.read_text(encoding="utf-8"))
    try:
        updated = insisting(lambda: follow(administrator(os.environ), realm, os.environ))
    except KeyError as error:
        print(f"realm addresses: the variable {error} is not set", file=sys.stderr)
        return 78
    except KeycloakError as error:
        print(f"realm addresses: {error}", file=sys.stderr)
        return 1
    print(f"realm addresses: {', '.join(updated) or 'none'} changed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
