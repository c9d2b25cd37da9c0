"""Where the operator's variables come from."""

from __future__ import annotations

import os
from pathlib import Path

from service_kit.environment_files import read

DEFAULT = Path(".local/default/env/operator.env")


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
