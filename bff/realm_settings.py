"""What of the realm depends on where the system runs, in a realm that exists already: a step of the start that can be repeated.

``--import-realm`` leaves an existing realm alone. A page whose port has moved would be refused at its login (``redirect_uri``), and logouts would be
told to whoever is at the old address; the login would keep an old look, and mail an old server. The realm file is the only place that says which fields
hold an address: those that name a variable of the page.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError
from pydantic import Field, SecretStr, field_validator, model_validator

from bff.demo_users import administrator, insisting
from service_kit.settings import Section, ServiceSettings, load

VARIABLE = re.compile(r"\$\{(BIONICPRO_BFF_(?:PUBLIC|BACKCHANNEL)_URL)\}")
FROM_THE_FILE = ("loginTheme", "actionTokenGeneratedByUserLifespan")
"""Fields of the realm that an existing one gets as the file has them."""
MASKED = "**********"
"""What Keycloak tells in place of a password that it has."""


class MailSettings(Section):
    """The mail server through which Keycloak sends a link to whoever forgot their password. Without a *host* there is no such link on the login."""

    host: str = ""
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = ""
    sender_name: str = "BionicPRO"
    username: str = ""
    password: SecretStr | None = None

    @field_validator("password", mode="before")
    @classmethod
    def _empty_is_none(cls, given: object) -> object:
        """A container's secret is a file, which is there, and empty, where the server asks for no password."""
        return None if given == "" else given

    @model_validator(mode="after")
    def _whole(self) -> MailSettings:
        if self.host and "@" not in self.sender:
            raise ValueError("a mail server needs SENDER, the address that mails come from")
        if bool(self.username) != (self.password is not None):
            raise ValueError("USERNAME and PASSWORD belong together")
        return self

    def realm_fields(self) -> dict[str, Any]:
        """The fields of Keycloak's realm representation that they stand for."""
        return {"resetPasswordAllowed": bool(self.host), "smtpServer": self._server() if self.host else {}}

    def _server(self) -> dict[str, str]:
        account = (
            {"auth": "true", "user": self.username, "password": self.password.get_secret_value()} if self.password else {"auth": "false"}
        )
        return account | {
            "host": self.host,
            "port": str(self.port),
            "from": self.sender,
            "fromDisplayName": self.sender_name,
            "starttls": str(self.security == "starttls").lower(),
            "ssl": str(self.security == "tls").lower(),
        }


class Settings(ServiceSettings):
    """``BIONICPRO_MAIL__<FIELD>``."""

    mail: MailSettings = MailSettings()


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


def settle(keycloak: KeycloakAdmin, realm: Mapping[str, Any], mail: MailSettings) -> list[str]:
    """Give the realm the file's look and the present mail server; the names of the fields that were otherwise. Idempotent.

    A password of the mail server is set at every call: Keycloak does not tell which one it has. Raises `KeycloakError` where the server refuses.
    """
    name = str(realm["realm"]) if keycloak.connection.realm_name is None else keycloak.connection.realm_name
    wanted = {field: realm[field] for field in FROM_THE_FILE} | mail.realm_fields()
    had = keycloak.get_realm(name)
    updated = [field for field, value in wanted.items() if had.get(field) != _as_told(value)]
    if updated or mail.password is not None:
        keycloak.update_realm(name, wanted)
    return updated


def _as_told(value: Any) -> Any:
    return value | {"password": MASKED} if isinstance(value, dict) and "password" in value else value


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_filled(entry, variables) for entry in value]
    return VARIABLE.sub(lambda found: variables[found[1]], value) if isinstance(value, str) else value


def main(arguments: list[str] | None = None) -> int:
    """``python -m bff.realm_settings --realm FILE``: the server and its administrator as for ``bff.demo_users``, the addresses from the file's variables."""
    parser = argparse.ArgumentParser(
        prog="python -m bff.realm_settings",
        description="Let the realm follow the page's address, and give it its look and its mail server.",
    )
    parser.add_argument("--realm", type=Path, required=True)
    realm = json.loads(parser.parse_args(arguments).realm.read_text(encoding="utf-8"))
    mail = load(Settings).mail
    try:
        updated = insisting(lambda: _all_done(administrator(os.environ), realm, mail))
    except KeyError as error:
        print(f"realm settings: the variable {error} is not set", file=sys.stderr)
        return 78
    except KeycloakError as error:
        print(f"realm settings: {error}", file=sys.stderr)
        return 1
    print(f"realm settings: {', '.join(updated) or 'none'} changed")
    return 0


def _all_done(keycloak: KeycloakAdmin, realm: Mapping[str, Any], mail: MailSettings) -> list[str]:
    return settle(keycloak, realm, mail) + follow(keycloak, realm, os.environ)


if __name__ == "__main__":
    raise SystemExit(main())
