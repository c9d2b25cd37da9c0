"""What support says beside an address, whom it looks for and why it opens somebody's reports: the headers in which one service tells another, and their bounds.

In headers and percent-encoded, because addresses stand in logs on the way, and names are not to.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize
from urllib.parse import quote

REASON_HEADER = "bionicpro-reason"
LEAST_REASON_CHARS, MOST_REASON_CHARS = 5, 200
SEARCH_HEADER = "bionicpro-search"
LEAST_SEARCH_CHARS, MOST_SEARCH_CHARS = 3, 64
"""The words of two characters or more have the least together. The view of the store holds to that too (``clickhouse/schema/views.sql``)."""
DENSE = "々〆〇ぁ-ゖァ-ヺー㐀-䶿一-鿿가-힣𠀀-𲎯"
"""Ideographs, kana and syllables of Hangul, as in a class of a regular expression: each says as much as two letters. A whole name may have two of them."""
_DENSE = re.compile(f"[{DENSE}]")
_LEAST_WORD_CHARS = 2


def reason(text: str) -> dict[str, str]:
    """The header with the reason *text*."""
    return {REASON_HEADER: quote(text)}


def search(text: str) -> dict[str, str]:
    """The header with the *text* to look for."""
    return {SEARCH_HEADER: quote(text)}


def is_reason(text: str) -> bool:
    """Whether *text* may be a reason: one line, of the right length."""
    return _is_one_line(text) and _said(text.strip()) >= LEAST_REASON_CHARS and len(text.strip()) <= MOST_REASON_CHARS


def is_search(text: str) -> bool:
    """Whether *text* may be looked for: one line, not too long, and saying enough not to find everybody: single letters say nothing."""
    if not _is_one_line(text) or len(text.strip()) > MOST_SEARCH_CHARS:
        return False
    lengths = [_said(word) for word in text.split()]
    return sum(length for length in lengths if length >= _LEAST_WORD_CHARS) >= LEAST_SEARCH_CHARS


def _said(text: str) -> int:
    """How much *text* says, in letters."""
    composed = normalize("NFKC", text)
    return len(composed) + len(_DENSE.findall(composed))


def _is_one_line(text: str) -> bool:
    """Whether all characters are printed, blanks of any width among them: what is pasted often has those."""
    return all(character.isprintable() or category(character) == "Zs" for character in text)
