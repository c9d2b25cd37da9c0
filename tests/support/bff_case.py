"""A BFF, or several, under test: a realm of its own in the real Keycloak (from the very realm file), the real Redis, gates before both."""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey
from keycloak import KeycloakAdmin

from bff.app import create_app
from bff.demo_users import DemoUser, admin, ensure_demo_users
from bff.server import listening
from bff.settings import BffSettings, Settings
from service_kit.settings import KeycloakSettings, RedisSettings
from tests.support.bff_browser import Browser
from tests.support.bff_servers import EchoReports, KeycloakGate, Served, free_port
from tests.support.endpoints import KeycloakEndpoint, RedisEndpoint
from tests.support.tcp_proxy import TcpProxy

REALM_FILE = Path(__file__).parents[2] / "deploy" / "keycloak" / "bionicpro-realm.json"
KEY_PROVIDER = "org.keycloak.keys.KeyProvider"
CLIENT_SECRET = secrets.token_urlsafe(24)


def realm_from_file(name: str, page: str, logouts_to: str) -> dict[str, Any]:
    """The realm file with its placeholders filled in, as Keycloak does it at import, under another name. *logouts_to*: where Keycloak reaches the page."""
    values = {
        "BIONICPRO_BFF_CLIENT_SECRET": CLIENT_SECRET,
        "BIONICPRO_PROBE_CLIENT_SECRET": CLIENT_SECRET,
        "BIONICPRO_BFF_PUBLIC_URL": page,
        "BIONICPRO_BFF_BACKCHANNEL_URL": logouts_to,
    }
    text = re.sub(r"\$\{(BIONICPRO_\w+)\}", lambda found: values[found[1]], REALM_FILE.read_text(encoding="utf-8"))
    realm: dict[str, Any] = json.loads(text)
    # A user's id is unique over all realms of a server: here the probe's account gets another one.
    realm.pop("users")
    # A test logs in many times: the password's hash need not be slow here.
    policy = f"{realm['passwordPolicy']} and hashAlgorithm(pbkdf2-sha256) and hashIterations(1)"
    return realm | {"realm": name, "passwordPolicy": policy}


class MovableClock:
    """The real time, moved by what a test asks for."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


class ForeignHands:
    """A signing key that the realm publishes and the test holds: tokens that are right but for what a test makes wrong."""

    def __init__(self, keycloak: KeycloakAdmin, realm_id: str) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self.key = RSAKey.import_key(pem)
        config = {"privateKey": [pem], "priority": ["1"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]}
        self._component = {
            "name": "test",
            "providerId": "rsa",
            "providerType": KEY_PROVIDER,
            "parentId": realm_id,
            "config": config,
        }
        known = {key["kid"] for key in keycloak.get_keys()["keys"]}
        keycloak.create_component(self._component)
        self.kid = next(key["kid"] for key in keycloak.get_keys()["keys"] if key["kid"] not in known)

    @staticmethod
    def claims_of(token: str) -> dict[str, Any]:
        """The claims of a token, unverified."""
        part = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return claims

    def forge(self, claims: dict[str, Any], forgery: str) -> str:
        """A token that the realm did not sign, by one of the classic ways."""
        public = self.key.as_pem(private=False)
        match forgery:
            case "none":
                return ".".join((_encoded({"alg": "none", "kid": self.kid}), _encoded(claims), ""))
            case "hs256-with-the-public-key":
                signed = f"{_encoded({'alg': 'HS256', 'kid': self.kid})}.{_encoded(claims)}"
                return f"{signed}.{_base64(hmac.digest(public, signed.encode(), 'sha256'))}"
            case "signature":
                head, body, signature = self.sign(claims).split(".")
                return f"{head}.{body}.{signature[:10]}{'A' if signature[10] != 'A' else 'B'}{signature[11:]}"
            case "foreign-key":
                return jwt.encode({"alg": "RS256", "kid": self.kid}, claims, RSAKey.generate_key(2048), algorithms=["RS256"])
            case "no-kid":
                return jwt.encode({"alg": "RS256"}, claims, self.key, algorithms=["RS256"])
        raise ValueError(forgery)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        head = {"alg": "RS256", "kid": self.kid, "typ": "JWT"} | header
        return jwt.encode(head, claims, self.key, algorithms=[head["alg"]])


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _encoded(part: dict[str, Any]) -> str:
    return _base64(json.dumps(part).encode())


@dataclass
class Realm:
    """The test realm and its people."""

    endpoint: KeycloakEndpoint
    name: str
    page: str
    admin: KeycloakAdmin
    users: dict[str, DemoUser]
    hands: ForeignHands

    @property
    def issuer(self) -> str:
        return f"{self.endpoint.public_url}/realms/{self.name}"

    def configure(self, **changes: Any) -> None:
        """Change settings of the realm until `restore`."""
        self.admin.update_realm(self.name, changes)

    def rotate_keys(self) -> str:
        """Add a signing key that outranks the others; returns its id."""
        known = {key["kid"] for key in self.admin.get_keys()["keys"]}
        config = {"priority": [str(int(time.time()))], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"], "keySize": ["2048"]}
        realm_id = self.admin.get_realm(self.name)["id"]
        component = {"name": "rotated", "providerId": "rsa-generated", "providerType": KEY_PROVIDER, "parentId": realm_id, "config": config}
        self.admin.create_component(component)
        return str(next(key["kid"] for key in self.admin.get_keys()["keys"] if key["kid"] not in known))

    def newest_kid(self) -> str:
        """The id of the key that signs now."""
        return str(self.admin.get_keys()["active"]["RS256"])

    def restore(self) -> None:
        settings = realm_from_file(self.name, self.page, self.page).items()
        self.admin.update_realm(self.name, {key: value for key, value in settings if _is_setting(value)})
        for user in self.users.values():
            self.admin.update_user(user.user_id, {"enabled": True})
        self.admin.clear_all_bruteforce_attempts()


def _is_setting(value: Any) -> bool:
    return isinstance(value, bool | int | str)


def make_realm(endpoint: KeycloakEndpoint, page: str, logouts_to: str) -> Realm:
    name = f"test-{secrets.token_hex(4)}"
    master = admin(endpoint.base_url, endpoint.admin.user, endpoint.admin.password, realm="master", timeout_s=60)
    master.create_realm(realm_from_file(name, page, logouts_to))
    keycloak = admin(endpoint.base_url, endpoint.admin.user, endpoint.admin.password, realm=name, timeout_s=60)
    # A user's id is unique over all realms of a server.
    users = {
        login: DemoUser(str(uuid4()), login, f"{login}@example.org", login.title(), "Test", secrets.token_urlsafe(12), (role,))
        for login, role in (("anna", "wearer"), ("boris", "wearer"), ("sofia", "support"))
    }
    ensure_demo_users(keycloak, users.values(), realm=name)
    return Realm(endpoint, name, page, keycloak, users, ForeignHands(keycloak, keycloak.get_realm(name)["id"]))


@dataclass
class Instance:
    """One running BFF."""

    served: Served
    app: Any

    @property
    def url(self) -> str:
        return self.served.url


@dataclass
class BffCase:
    """Everything around the BFFs of one test."""

    realm: Realm
    redis: RedisEndpoint
    redis_gate: TcpProxy
    gate: KeycloakGate
    reports: EchoReports
    clock: MovableClock = field(default_factory=MovableClock)
    instances: list[Instance] = field(default_factory=list)

    def settings(self, port: int, **own: Any) -> Settings:
        account = self.redis.account
        defaults: dict[str, Any] = {
            "port": port,
            "public_url": self.realm.page,
            "client_secret": CLIENT_SECRET,
            "reports_url": self.reports.server.url,
            "logins_per_minute": 100_000,
            "requests_per_minute": 100_000,
            "stream_check_s": 0.1,
            "key_refetch_cooldown_s": 0.3,
        }
        return Settings(
            bff=BffSettings(**(defaults | own)),
            redis=RedisSettings(url=f"redis://{account.user}:{account.password}@127.0.0.1:{self.redis_gate.port}/0"),
            keycloak=KeycloakSettings(base_url=self.gate.server.url, public_url=self.realm.endpoint.public_url, realm=self.realm.name),
        )

    def start(self, port: int | None = None, **own: Any) -> Instance:
        """Start a BFF; the first of a test listens where the realm sends browsers and logout tokens, others elsewhere under the same name."""
        page_port = int(self.realm.page.rsplit(":", 1)[1])
        chosen = port or (free_port() if self.instances else page_port)
        settings = self.settings(chosen, **own)
        app = create_app(settings, self.clock)
        instance = Instance(Served(app, chosen, listening(app, settings.bff)).start(), app)
        self.instances.append(instance)
        return instance

    def browser(self, instance: Instance | None = None) -> Browser:
        return Browser((instance or self.instances[0]).url, self.realm.page)

    def user(self, login: str) -> DemoUser:
        return self.realm.users[login]

    async def logged_in(self, login: str = "anna", instance: Instance | None = None) -> Browser:
        """A browser whose person has just logged in; close it."""
        browser = self.browser(instance)
        user = self.user(login)
        try:
            response = await browser.login(user.username, user.password)
            assert response.status_code == 303, response.text
        except BaseException:
            await browser.close()
            raise
        return browser

    def stop(self) -> None:
        for instance in self.instances:
            instance.served.stop()
        self.instances.clear()
