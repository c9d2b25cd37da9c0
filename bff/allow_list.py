"""Which requests may pass to the reports service, and as what. Pure; everything that is not listed does not exist."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qsl, quote, urlencode

MAX_QUERY = 2048
_DAY = r"\d{4}-\d{2}-\d{2}"
_USER = r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}"
USER_ID = re.compile(_USER)
PARAMETERS = frozenset({"from", "to", "prosthesis_id", "cursor", "limit", "lang", "decimal"})
IDENTITY_PARAMETERS = frozenset({"user_id", "sub", "user", "uid", "customer_id"})


class Nature(Enum):
    """What a request is: a person's, the page's own polling, a live stream, or a download."""

    ACTION = auto()
    POLLING = auto()
    STREAM = auto()
    EXPORT = auto()


@dataclass(frozen=True, slots=True)
class Target:
    """An upstream request: *path* is complete and encoded. *support_for* is the user whose reports a support engineer asks for."""

    path: str
    nature: Nature
    support_for: str | None = None


class IdentityParameterError(Exception):
    """The request tries to say whose reports it wants; that is the session's to say."""


class QueryError(Exception):
    """The query string is too long or has a parameter that the reports service does not know."""


_ROUTES: tuple[tuple[str, Nature], ...] = (
    (r"", Nature.ACTION),
    (r"/today", Nature.POLLING),
    (r"/summary", Nature.ACTION),
    (rf"/hours/{_DAY}", Nature.ACTION),
    (r"/typical-day", Nature.ACTION),
    (rf"/errors/{_DAY}", Nature.ACTION),
    (r"/prostheses", Nature.ACTION),
    (r"/error-texts", Nature.POLLING),
    (r"/stream", Nature.STREAM),
    (r"/export\.csv", Nature.EXPORT),
    (r"/export\.pdf", Nature.EXPORT),
)
_OWN = [(re.compile(rf"/reports({suffix})"), nature) for suffix, nature in _ROUTES]
_SUPPORT = [(re.compile(rf"/users/({_USER})/reports({suffix})"), nature) for suffix, nature in _ROUTES]


def own_target(raw_path: str, subject: str) -> Target | None:
    """The upstream request for a person's own reports; *raw_path* is the path as it came, not decoded. None: no such address."""
    for pattern, nature in _OWN:
        if match := pattern.fullmatch(raw_path):
            return Target(f"/reports/{quote(subject, safe='')}{match[1]}", nature)
    return None


def support_target(raw_path: str) -> Target | None:
    """The upstream request of a support engineer for somebody's reports."""
    for pattern, nature in _SUPPORT:
        if match := pattern.fullmatch(raw_path):
            return Target(f"/users/{match[1]}{match[2]}", nature, support_for=match[1])
    return None


def nature_of(raw_path: str) -> Nature | None:
    """What a request for *raw_path* is, whoever asks; None where it is none for the reports service."""
    return next((nature for pattern, nature in (*_OWN, *_SUPPORT) if pattern.fullmatch(raw_path)), None)


def upstream_query(raw_query: str) -> str:
    """The query to pass on, encoded anew. Raises `IdentityParameterError` or `QueryError`."""
    if len(raw_query) > MAX_QUERY:
        raise QueryError(f"the query is longer than {MAX_QUERY} characters")
    try:
        pairs = parse_qsl(raw_query, keep_blank_values=True, strict_parsing=bool(raw_query), errors="strict", max_num_fields=20)
    except ValueError:
        raise QueryError("the query cannot be read") from None
    names = [name for name, _ in pairs]
    if any(name.lower() in IDENTITY_PARAMETERS for name in names):
        raise IdentityParameterError("whose reports are shown is decided by who is logged in")
    unknown = sorted(set(names) - PARAMETERS)
    if unknown:
        raise QueryError(f"unknown parameter: {', '.join(name[:40] for name in unknown[:5])}")
    return urlencode(pairs)
