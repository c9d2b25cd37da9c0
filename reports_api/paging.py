"""Pages by key: where a page starts, and which days to read for it, so that few rows are read in vain. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

MAX_CURSOR_CHARS = 256
FIRST_WINDOW_DAYS = 32


class Cursor(NamedTuple):
    """The last row of the page before: the next one starts after it, in the order newest day first, then prosthesis id."""

    report_date: date
    prosthesis_id: str


START = Cursor(date(1900, 1, 1), "")
"""Before the first row: its day is in no report."""


def encode(cursor: Cursor) -> str:
    """Opaque text of a cursor, safe in a URL."""
    text = f"{cursor.report_date.isoformat()} {cursor.prosthesis_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str) -> Cursor:
    """The cursor that *encode* made. Raises ValueError for anything else."""
    if len(text) > MAX_CURSOR_CHARS or not text.isascii():
        raise ValueError("not a cursor of this service")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        day, separator, prosthesis_id = raw.partition(" ")
        cursor = Cursor(date.fromisoformat(day), prosthesis_id)
    except (ValueError, binascii.Error) as error:
        raise ValueError("not a cursor of this service") from error
    if not separator or encode(cursor) != text:
        raise ValueError("not a cursor of this service")
    return cursor


def windows(first: date, last: date, limit: int) -> Iterator[tuple[date, date]]:
    """Days ``[first, last]`` cut into adjoining windows, newest first, each twice as long as the one before.

    The first is as long as the page plus one day: a wearer of one prosthesis with daily use is answered from it alone, and a sparse
    history costs a few queries instead of a wide read.
    """
    length = max(FIRST_WINDOW_DAYS, limit + 1)
    while first <= last:
        start = max(first, last - timedelta(days=length - 1)) if (last - first).days >= length else first
        yield start, last
        if start == first:
            return
        last = start - timedelta(days=1)
        length *= 2
