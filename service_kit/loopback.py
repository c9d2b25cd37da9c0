"""What runs on this machine is never reached through a proxy, whatever ``http_proxy`` says. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

ADDRESSES = ("127.0.0.1", "localhost", "::1")
VARIABLES = ("no_proxy", "NO_PROXY")


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """``no_proxy`` and ``NO_PROXY`` with the addresses of loopback added to what *environment* has in either. Idempotent."""
    known = [name for variable in VARIABLES for name in environment.get(variable, "").replace(",", " ").split()]
    names = ",".join(dict.fromkeys([*known, *ADDRESSES]))
    return dict.fromkeys(VARIABLES, names)
