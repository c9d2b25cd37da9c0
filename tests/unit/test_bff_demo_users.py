"""The step that makes the demo's logins: which of Keycloak's refusals pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from keycloak.exceptions import KeycloakAuthenticationError, KeycloakConnectionError, KeycloakError, KeycloakPutError

from bff import demo_users
from service_kit.retries import Policy

AWAY = KeycloakConnectionError("Can't connect to server (timed out)")
REFUSED = KeycloakAuthenticationError(
    '400: b\'{"error":"invalid_grant","error_description":"Invalid user credentials"}\'', response_code=400
)
BUSY = KeycloakPutError("409: still being done", response_code=409)
FORBIDDEN = KeycloakPutError("403: forbidden", response_code=403)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_users, "INSISTENCE", Policy(first_s=0, most_s=0, attempts=4))


def failing_with(*errors: KeycloakError) -> Callable[[], str]:
    """Work that fails with each of *errors* in turn, and then succeeds."""
    coming = list(errors)

    def work() -> str:
        if coming:
            raise coming.pop(0)
        return "done"

    return work


@pytest.mark.parametrize("errors", [(), (AWAY,), (BUSY,), (AWAY, AWAY, BUSY)])
def test_work_is_done_again_while_the_server_is_away_or_busy(errors: tuple[KeycloakError, ...]) -> None:
    assert demo_users.insisting(failing_with(*errors)) == "done"


def test_a_login_that_is_refused_while_one_that_was_given_up_is_still_checked_passes() -> None:
    assert demo_users.insisting(failing_with(AWAY, REFUSED, REFUSED)) == "done"


@pytest.mark.parametrize("error", [REFUSED, FORBIDDEN])
def test_a_refusal_is_believed_at_once(error: KeycloakError) -> None:
    with pytest.raises(KeycloakError) as raised:
        demo_users.insisting(failing_with(error))
    assert raised.value is error


def test_there_is_an_end_of_patience() -> None:
    with pytest.raises(KeycloakConnectionError):
        demo_users.insisting(failing_with(*[AWAY] * 4))
