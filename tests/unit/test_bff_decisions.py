"""The BFF's pure decisions: return addresses, the allow-list, token claims, cookies, settings."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from bff.allow_list import IdentityParameterError, Nature, QueryError, own_target, support_target, upstream_query
from bff.cookies import Cookies
from bff.id_tokens import LOGOUT_EVENT, Expected, InvalidTokenError, check_id_token, check_login, check_logout_token, identity_of
from bff.oidc import GrantRefusedError, ProviderDownError, ProviderMismatchError, check_discovery, failure
from bff.pages import language
from bff.provider_answers import Discovery
from bff.return_to import is_local_path
from bff.sealing import SealBrokenError, Tokens, digest, is_identifier, new_identifier, pkce_challenge, seal, unseal
from bff.sessions import Identity
from bff.settings import BffSettings
from service_kit.key_cache import Ages, KeyCache
from service_kit.signed_tokens import UnreadableTokenError, key_id

NOW = 1_800_000_000.0
NESTED = f"{urlsafe_b64encode(b'[' * 12_000).decode().rstrip('=')}.b.c"
EXPECTED = Expected("https://login.example.org/realms/bionicpro", "bionicpro-bff", 10)


@pytest.mark.parametrize(
    "address", ["/", "/days", "/days/2026-11-20", "/days?from=2026-11-01&to=2026-11-07", "/a/b.c_d~e-f", "/#today", "/?x=a%2Cb"]
)
def test_a_page_of_this_site_may_be_returned_to(address: str) -> None:
    assert is_local_path(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "days",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "HTTPS://evil.example",
        ),
        *("javascript:alert(1)", "data:text/html,x", "/%2Fevil.example", "/%5Cevil.example", "/%252fevil.example", "/%25252fevil.example"),
        *(
            "/a//evil.example",
            "/./",
            "/../",
            "/a/..",
            "/%2e%2e/",
            "/\tx",
            "/\nx",
            "/%0d%0aX",
            "/%00",
            "/\x00",
            "/\u2028",
            "/／evil",
            "/%EF%BC%8Fevil",
        ),
        *(
            "/@evil.example",
            "/x:y",
            "//user@evil.example",
            " /",
            "/ ",
            "/auth/logout",
            "/reports",
            "/health/live",
            "/" + "a" * 600,
            "/%2525252525252f",
        ),
    ],
)
def test_anything_else_may_not(address: str) -> None:
    """Case 9 of docs/security.md."""
    assert not is_local_path(address)


@pytest.mark.parametrize(
    ("path", "nature"),
    [
        ("/reports", Nature.ACTION),
        ("/reports/today", Nature.POLLING),
        ("/reports/summary", Nature.ACTION),
        ("/reports/hours/2026-11-23", Nature.ACTION),
        ("/reports/stream", Nature.STREAM),
        ("/reports/export.csv", Nature.EXPORT),
        ("/reports/export.pdf", Nature.EXPORT),
    ],
)
def test_a_listed_path_gets_the_sessions_user_and_nothing_else(path: str, nature: Nature) -> None:
    target = own_target(path, "abc-1")
    assert target is not None
    assert (target.path, target.nature) == (path.replace("/reports", "/reports/abc-1", 1), nature)
    theirs = support_target(path.replace("/reports", "/users/u-2/reports", 1))
    assert theirs is not None
    assert (theirs.path, theirs.support_for) == (path.replace("/reports", "/users/u-2", 1), "u-2")


def test_a_subject_cannot_break_out_of_its_place_in_the_path() -> None:
    target = own_target("/reports", "../../admin?x#y")
    assert target is not None
    assert target.path == "/reports/..%2F..%2Fadmin%3Fx%23y"


@pytest.mark.parametrize(
    "path",
    ["/reports/", "/reports/x", "/reports/today/", "/reports/%74oday", "/Reports", "/reports/hours/2026-1-1", "/reportsx", "//reports"],
)
def test_an_unlisted_path_does_not_exist(path: str) -> None:
    assert own_target(path, "u") is None


@pytest.mark.parametrize("user", ["..", ".", "-x", "a.b", "a%2fb", "", "a" * 200])
def test_a_support_path_names_a_plain_user(user: str) -> None:
    assert support_target(f"/users/{user}/reports") is None


def test_a_query_is_encoded_anew_and_its_order_kept() -> None:
    assert upstream_query("from=2026-11-01&to=2026-11-07&cursor=a%2Bb%26c") == "from=2026-11-01&to=2026-11-07&cursor=a%2Bb%26c"
    assert upstream_query("") == ""


@pytest.mark.parametrize("query", ["user_id=x", "USER_ID=x", "from=1&sub=x", "customer_id=1"])
def test_a_query_must_not_say_whose_reports(query: str) -> None:
    with pytest.raises(IdentityParameterError):
        upstream_query(query)


@pytest.mark.parametrize("query", ["drop=1", "from", "cursor=%ff", "cursor=" + "a" * 3000, "&".join(f"from={n}" for n in range(30)), "&&"])
def test_an_odd_query_is_refused(query: str) -> None:
    with pytest.raises(QueryError):
        upstream_query(query)


def id_claims(**changes: Any) -> dict[str, Any]:
    right = {
        "iss": EXPECTED.issuer,
        "aud": "bionicpro-bff",
        "exp": NOW + 60,
        "iat": NOW,
        "sub": "u",
        "sid": "s",
        "nonce": "n",
        "auth_time": NOW,
    }
    return {name: value for name, value in (right | changes).items() if value is not None}


def test_right_claims_are_accepted_within_the_leeway() -> None:
    check_id_token(id_claims(), EXPECTED, NOW)
    check_id_token(id_claims(aud=["bionicpro-bff"]), EXPECTED, NOW + 69)
    check_id_token(id_claims(nonce=None), EXPECTED, NOW - 9)
    check_login(id_claims(), "n", NOW)


@pytest.mark.parametrize(
    "changes",
    [
        *({"iss": "x"}, {"iss": None}, {"aud": "x"}, {"aud": []}, {"aud": None}, {"aud": ["bionicpro-bff", "x"]}, {"azp": "x"}),
        *({"exp": NOW - 11}, {"exp": None}, {"exp": True}, {"exp": float("nan")}, {"exp": float("inf")}, {"exp": "9999999999"}),
        *({"iat": NOW + 11}, {"iat": None}, {"nbf": NOW + 11}, {"sub": None}, {"sub": ""}, {"sub": 1}, {"sid": None}),
        *(
            {"exp": 10**400},
            {"exp": -1},
            {"sub": "\ud800"},
            {"sub": "ü"},
            {"sub": "u" * 256},
            {"sid": "\udfff"},
            {"iss": "\ud800"},
            {"typ": "Bearer"},
            {"typ": ["ID"]},
            {"azp": ["bionicpro-bff", "x"]},
        ),
    ],
)
def test_wrong_claims_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        check_id_token(id_claims(**changes), EXPECTED, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        *({"nonce": "x"}, {"nonce": None}, {"nonce": ""}, {"nonce": 1}, {"nonce": "\ud800"}),
        *({"auth_time": NOW - 1}, {"auth_time": None}, {"auth_time": str(NOW)}, {"auth_time": True}, {"auth_time": float("nan")}),
    ],
)
def test_a_login_of_another_nonce_or_without_a_recent_password_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        check_login(id_claims(**changes), "n", NOW)


def test_a_name_that_cannot_be_written_down_is_left_out() -> None:
    assert identity_of(id_claims(name="\ud800", preferred_username="anna", roles=["support", "\ud800"])) == Identity(
        "u", "s", "anna", ("support",)
    )


def test_a_logout_token_may_name_a_session_a_person_or_both() -> None:
    base = {"jti": "j", "events": {LOGOUT_EVENT: {}}, "nonce": None}
    assert check_logout_token(id_claims(**base), EXPECTED, NOW).sid == "s"
    assert check_logout_token(id_claims(**base, sid=None), EXPECTED, NOW).sid is None
    assert check_logout_token(id_claims(**base, sub=None), EXPECTED, NOW).subject is None
    with pytest.raises(InvalidTokenError):
        check_logout_token(id_claims(**base, sub=None, sid=None), EXPECTED, NOW)


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c.d", "!.b.c", "W10.b.c", "é.b.c", "." * 2, "a" * 20_000, NESTED])
def test_an_unreadable_header_is_an_invalid_token(token: str) -> None:
    with pytest.raises(UnreadableTokenError):
        key_id(token)


def test_sealed_tokens_open_with_their_session_id_only_and_show_nothing() -> None:
    mine, other = new_identifier(), new_identifier()
    tokens = Tokens("eyJ.access", "eyJ.refresh")
    sealed = seal(tokens, mine)
    assert unseal(sealed, mine) == tokens
    assert "eyJ" not in repr(tokens)
    assert sealed != seal(tokens, mine)
    for broken, session_id in ((sealed, other), (sealed[:-4] + "AAAA", mine), ("", mine), ("not base64!", mine)):
        with pytest.raises(SealBrokenError):
            unseal(broken, session_id)


def test_identifiers_have_256_bits_and_are_told_from_other_text() -> None:
    made = {new_identifier() for _ in range(1000)}
    assert len(made) == 1000
    assert all(is_identifier(text) for text in made)
    assert not any(is_identifier(text) for text in ("", "a", "a" * 42, "a" * 44, "a" * 42 + "\n", "a" * 42 + "é"))
    assert digest("a") != digest("b")


def test_the_pkce_challenge_is_that_of_rfc_7636() -> None:
    assert pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_cookie_names_carry_the_prefix_where_the_site_is_secure() -> None:
    assert Cookies(secure=True).session_name == "__Host-bionicpro-session"
    assert Cookies(secure=False).session_name == "bionicpro-session"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error":"invalid_grant"}', GrantRefusedError),
        (400, b'{"error":"invalid_request"}', ProviderMismatchError),
        (401, b'{"error":"unauthorized_client"}', ProviderMismatchError),
        (404, b"<html>", ProviderMismatchError),
        (429, b"", ProviderDownError),
        (500, b"[]", ProviderDownError),
        (503, b"", ProviderDownError),
    ],
)
def test_only_invalid_grant_ends_a_session(status: int, body: bytes, kind: type[Exception]) -> None:
    assert type(failure(status, body)) is kind


def test_another_issuer_in_discovery_is_named_with_what_to_set() -> None:
    check_discovery(Discovery(issuer="https://a", authorization_endpoint="https://a/auth"), "https://a")
    with pytest.raises(ProviderMismatchError, match="BIONICPRO_KEYCLOAK__PUBLIC_URL"):
        check_discovery(Discovery(issuer="https://b", authorization_endpoint="https://b/auth"), "https://a")


@pytest.mark.parametrize(
    ("header", "tongue"), [("ru-RU,ru;q=0.9,en;q=0.8", "ru"), ("en", "en"), ("de,ru", "ru"), ("", "en"), ("xx" * 5000, "en"), ("zh", "en")]
)
def test_pages_speak_the_browsers_language_where_they_can(header: str, tongue: str) -> None:
    assert language(header) == tongue


def settings(**changes: Any) -> BffSettings:
    return BffSettings(**({"public_url": "http://127.0.0.1:8000", "client_secret": SecretStr("s3cr3t-of-a-test")} | changes))


@pytest.mark.parametrize(
    ("url", "secure"), [("https://reports.example.org", True), ("http://localhost:8000/", False), ("http://[::1]:8000", False)]
)
def test_plain_http_is_for_loopback_alone(url: str, secure: bool) -> None:
    made = settings(public_url=url)
    assert made.secure is secure
    assert not made.public_url.endswith("/")


@pytest.mark.parametrize(
    "changes",
    [
        *({"public_url": "http://reports.example.org"}, {"public_url": "http://10.0.0.5:8000"}, {"public_url": "ftp://localhost"}),
        *(
            {"public_url": "https://u:p@reports.example.org"},
            {"public_url": "https://reports.example.org/app"},
            {"public_url": "localhost"},
        ),
        *({"session_idle_s": 100, "session_absolute_s": 50}, {"identity_deadline_s": 15}, {"port": 70_000}, {"unknown": 1}),
    ],
)
def test_settings_that_cannot_hold_the_promises_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)


class Jwks:
    """A key document whose fetches are counted; it fails while *down*."""

    def __init__(self) -> None:
        self.fetches = 0
        self.down = False
        self.document: dict[str, Any] = {"keys": []}

    async def __call__(self) -> dict[str, Any]:
        self.fetches += 1
        if self.down:
            raise ProviderDownError("down")
        return self.document


EC_KEY = {"kty": "EC", "crv": "P-256", "kid": "a", "use": "sig", "alg": "ES256"} | {
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


def key_cache(jwks: Jwks, cool_down_s: float = 5, clock: Callable[[], float] = time.time) -> KeyCache:
    return KeyCache(jwks, Ages(5, cool_down_s, 3600, 86_400), failures=(ProviderDownError,), clock=clock)


async def test_keys_are_fetched_once_and_unknown_ids_cannot_force_more_than_the_cooldown_allows() -> None:
    """Case 8 of docs/security.md."""
    jwks, now = Jwks(), [NOW]
    jwks.document = {
        "keys": [EC_KEY, {"kty": "oct", "kid": "x", "k": "AA"}, EC_KEY | {"kid": "e", "use": "enc"}, {"kid": "broken", "kty": "RSA"}]
    }
    keys = key_cache(jwks, clock=lambda: now[0])
    assert await keys.get("a") is not None
    for number in range(100):
        assert await keys.get(f"made-up-{number}") is None
    assert jwks.fetches == 1
    now[0] += 6
    for kid in ("x", "e", "broken"):
        assert await keys.get(kid) is None
    assert jwks.fetches == 2


async def test_known_keys_go_on_working_while_keycloak_is_down() -> None:
    jwks, now = Jwks(), [NOW]
    jwks.document = {"keys": [EC_KEY]}
    keys = key_cache(jwks, clock=lambda: now[0])
    assert await keys.get("a", patient=True) is not None
    jwks.down = True
    now[0] += 4000
    assert await keys.get("a", patient=True) is not None
    assert await keys.get("b") is None


async def test_a_caller_with_a_token_from_keycloak_waits_the_cooldown_out_and_gets_a_rotated_key() -> None:
    jwks = Jwks()
    jwks.document = {"keys": [EC_KEY]}
    keys = key_cache(jwks, cool_down_s=0.05)
    assert await keys.get("a", patient=True) is not None
    jwks.document = {"keys": [EC_KEY, EC_KEY | {"kid": "b"}]}
    assert await keys.get("b", patient=True) is not None
