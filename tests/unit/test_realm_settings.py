"""The mail server of the realm: what is half said is refused, what is not said offers no mail."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bff.realm_settings import MailSettings

pytestmark = pytest.mark.unit


def test_without_a_host_no_password_can_be_forgotten() -> None:
    assert MailSettings().realm_fields() == {"resetPasswordAllowed": False, "smtpServer": {}}


def test_an_account_and_its_encryption_are_told_as_keycloak_wants_them() -> None:
    mail = MailSettings.model_validate(
        {"host": "mail.example.org", "sender": "reports@example.org", "username": "u", "password": "p", "security": "tls", "port": 465}
    )
    assert mail.realm_fields()["smtpServer"] == {
        "host": "mail.example.org",
        "port": "465",
        "from": "reports@example.org",
        "fromDisplayName": "BionicPRO",
        "auth": "true",
        "user": "u",
        "password": "p",
        "starttls": "false",
        "ssl": "true",
    }


def test_an_empty_password_as_a_containers_file_has_it_is_none() -> None:
    assert MailSettings.model_validate({"password": ""}).password is None


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"host": "mail.example.org"}, "SENDER"),
        ({"host": "mail.example.org", "sender": "nobody"}, "SENDER"),
        ({"username": "u"}, "belong together"),
        ({"password": "p"}, "belong together"),
    ],
)
def test_what_is_half_said_is_refused(given: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        MailSettings.model_validate(given)
