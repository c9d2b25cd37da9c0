"""Logins under way: single use, short-lived, each bound to the browser that began it."""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass

from bff.redis_client import PREFIX, Store
from bff.sealing import digest, is_identifier, new_identifier


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the callback must find again. *binding_digest* is the hash of the login cookie."""

    nonce: str
    verifier: str
    return_to: str
    binding_digest: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that has begun: *state* goes to Keycloak, *binding* into the browser's cookie."""

    state: str
    binding: str
    transaction: Transaction


class Transactions:
    """The store of logins under way. Raises `StoreDownError`."""

    def __init__(self, store: Store, lifetime_s: float) -> None:
        self._store = store
        self._lifetime_s = lifetime_s

    async def begin(self, return_to: str) -> Begun:
        state, binding = new_identifier(), new_identifier()
        # RFC 7636 wants 43 to 128 characters of a verifier: an identifier has 43.
        transaction = Transaction(new_identifier(), new_identifier(), return_to, digest(binding))
        await self._store.put(_key(state), json.dumps(asdict(transaction)), self._lifetime_s)
        return Begun(state, binding, transaction)

    async def take(self, state: str, binding: str | None) -> Transaction | None:
        """The transaction of *state*, once, and for the browser that holds *binding* only.

        A browser without the cookie does not use the transaction up: a stranger who learnt the state cannot break somebody's login.
        """
        if not is_identifier(state) or binding is None:
            return None
        stored = await self._store.get(_key(state))
        if stored is None or not hmac.compare_digest(json.loads(stored)["binding_digest"], digest(binding)):
            return None
        taken = await self._store.take(_key(state))
        return Transaction(**json.loads(taken)) if taken is not None else None


def _key(state: str) -> str:
    return f"{PREFIX}:login:{digest(state)}"
