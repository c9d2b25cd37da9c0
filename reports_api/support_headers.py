"""The headers of support's requests, read (``service_kit/support_access.py``)."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import unquote

from fastapi import Header

from reports_api import problems
from service_kit.problem_details import ProblemError
from service_kit.support_access import LEAST_SEARCH_CHARS, MOST_SEARCH_CHARS, SEARCH_HEADER, is_reason, is_search

_ENCODED = re.compile(r"(?:[!-$&-~ ]|%[0-9A-Fa-f]{2})*")

SearchText = Annotated[
    str | None,
    Header(
        alias=SEARCH_HEADER,
        description="A part of the wearer's name, of a serial number or of a contract's number, percent-encoded UTF-8: 64 characters at most, "
        "3 at least in words of 2 or more, where an ideograph, kana or syllable of Hangul counts twice; every word has to be found",
        examples=["%D0%9F%D0%B5%D1%82%D1%80%D0%BE%D0%B2%D0%B0"],
    ),
]


def reason_of(values: list[str]) -> str:
    """Why support opens somebody's reports. Raises ProblemError (403) where that is not said."""
    reason = _decoded(values[0]) if len(values) == 1 else ""
    if not is_reason(reason):
        raise ProblemError(403, "reason-required", "Say why these reports are opened: it is kept with the record of the access.")
    return reason


def search_text_of(value: str | None) -> str:
    """The text to look for. Raises ProblemError (422)."""
    text = _decoded(value or "")
    if not is_search(text):
        detail = f"{LEAST_SEARCH_CHARS} characters at least, or two of a Chinese, Japanese or Korean name, and {MOST_SEARCH_CHARS} at most"
        raise problems.invalid("header", SEARCH_HEADER, detail)
    return text


def _decoded(value: str) -> str:
    """The text, without blanks around it; empty where it is not in that form."""
    if not _ENCODED.fullmatch(value):
        return ""
    try:
        return unquote(value, errors="strict").strip()
    except UnicodeDecodeError:
        return ""
