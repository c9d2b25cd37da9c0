"""Files of ``NAME=value`` lines: the operator's variables, and those of another account beside them."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = Path(".local/default/env/operator.env")


def read(file: Path) -> dict[str, str]:
    """The variables of *file*; lines without ``=`` and comments are left out. Raises OSError."""
    variables = {}
    for line in file.read_text("utf-8").splitlines():
        name, separator, value = line.partition("=")
        if separator and not name.lstrip().startswith("#"):
            variables[name.strip()] = value.strip()
    return variables


def chosen(given: Path | None) -> Path | None:
    """The file to take: the one that was given, or the default one where no variable of ours is set and it exists."""
    if given is None and not has_variables() and DEFAULT.exists():
        return DEFAULT
    return given


def has_variables() -> bool:
    """Whether any variable of ours is set."""
    return any(name.startswith("BIONICPRO_") for name in os.environ)


def adopt(file: Path) -> None:
    """Set the variables of *file* that are not set already."""
    for name, value in read(file).items():
        os.environ.setdefault(name, value)
