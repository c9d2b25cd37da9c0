"""Where to go after login: a path of this site and nothing else."""

from __future__ import annotations

import re
from urllib.parse import unquote

MAX_LENGTH = 512
_DECODINGS = 4
_LOCAL = re.compile(r"/[A-Za-z0-9\-._~/?&=+,#%]*")
_FORBIDDEN = re.compile(r"//|(^|/)\.{1,2}(/|[?#]|$)")
_RESERVED = ("/auth/", "/reports", "/health")


def is_local_path(address: str) -> bool:
    """True for an address that every browser and proxy reads as a page of this site.

    Percent-encodings are decoded until nothing changes, and each stage must hold: a later decoder must not see another address than we did.
    Addresses of the API and of the login itself are no pages.
    """
    if len(address) > MAX_LENGTH:
        return False
    for _ in range(_DECODINGS):
        if not _LOCAL.fullmatch(address) or _FORBIDDEN.search(address) or address.startswith(_RESERVED):
            return False
        decoded = unquote(address, errors="replace")
        if decoded == address:
            return True
        address = decoded
    return False
