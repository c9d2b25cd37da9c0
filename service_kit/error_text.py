"""What people are told of an error in one line."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The first line of what *error* says; its type where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
