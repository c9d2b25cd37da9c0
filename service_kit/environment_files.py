"""Files of ``NAME=value`` lines: what starts a program sets, and what the operator's command reads. Standard library only: a bare Python reads them too.

A value is all that stands behind the first ``=``, without the blanks around it. Quotes, ``#`` and ``$`` mean nothing in it, so that a secret may hold them.
"""

from __future__ import annotations

from pathlib import Path


def parsed(text: str) -> dict[str, str]:
    """The variables of *text*; the last one of a name counts. Lines without ``=`` and lines that begin with ``#`` set none."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}


def read(file: Path) -> dict[str, str]:
    """The variables of *file*. Raises OSError, and UnicodeDecodeError where it is not UTF-8."""
    return parsed(file.read_text("utf-8"))
