"""The ``Cookie`` header as bytes (RFC 6265bis 4.2.1), read exactly: a name that only looks like ours is not ours.

A ``__Host-`` name is worth something because browsers let nobody but this host set it. A sibling site can set ``\\xa0__Host-…``, though, and a parser that
strips every blank that Unicode knows makes one name of both. So nothing is stripped but the space and the tab that separate, and nothing is decoded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

CLEAR_COOKIES: Mapping[str, str] = {"clear-site-data": '"cookies"'}
"""The way out for a browser whose cookies are no use: it forgets them all, the planted ones of sibling sites too."""
RawHeaders = Iterable[tuple[bytes, bytes]]
_NOT_OF_A_TOKEN = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class AmbiguousCookiesError(Exception):
    """One of our cookies' names came twice, or with other bytes around it: somebody else has planted one."""


def pairs(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """Names and values of all cookies, in order. A pair without ``=`` has the empty name, as in browsers."""
    found = []
    for name, line in headers:
        if name.lower() == b"cookie":
            found += [_pair(part.strip(b" \t")) for part in line.split(b";")]
    return [(name, value) for name, value in found if name or value]


def _pair(part: bytes) -> tuple[bytes, bytes]:
    name, equals, value = part.partition(b"=")
    return (name.rstrip(b" \t"), value.lstrip(b" \t")) if equals else (b"", part)


def ours(headers: RawHeaders, prefix: str) -> dict[str, str]:
    """The cookies whose names begin with *prefix*, by name; values that are not ASCII are left out. Raises `AmbiguousCookiesError`."""
    start = prefix.encode("ascii")
    named = pairs(headers)
    looks_alike = [name for name, _ in named if not name.startswith(start) and _NOT_OF_A_TOKEN.sub(b"", name).startswith(start)]
    counted = Counter(name for name, _ in named if name.startswith(start))
    unclean = any(_NOT_OF_A_TOKEN.search(name) for name in counted)
    if looks_alike or unclean or any(count > 1 for count in counted.values()):
        raise AmbiguousCookiesError
    return {name.decode("ascii"): value.decode("ascii") for name, value in named if name.startswith(start) and value.isascii()}


def are_too_large(headers: RawHeaders, limit: int) -> bool:
    """Whether a head beyond *limit* bytes would be within it without its cookies."""
    sizes = [(name.lower() == b"cookie", len(name) + len(value)) for name, value in headers]
    return sum(size for _, size in sizes) > limit >= sum(size for is_cookie, size in sizes if not is_cookie)


def fill_head(beginning: bytes, limit: int) -> bool:
    """As `are_too_large`, for a head of which only the *beginning* has come. It must hold the beginning of a cookie line, and all other lines must be within *limit*."""
    lines = [(line[:7].lower() == b"cookie:", len(line)) for line in beginning.split(b"\r\n")]
    return any(is_cookie for is_cookie, _ in lines) and sum(size for is_cookie, size in lines if not is_cookie) <= limit
