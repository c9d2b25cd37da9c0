"""Who may import whom (the contracts stand in pyproject.toml)."""

from __future__ import annotations

from importlinter.api import read_configuration
from importlinter.cli import lint_imports


def test_import_contracts_are_kept() -> None:
    assert lint_imports(no_cache=True) == 0


def test_the_contracts_are_there() -> None:
    names = {contract["name"] for contract in read_configuration()["contracts_options"]}
    assert names == {"Services do not import each other", "The domain is pure", "The oracle shares no code with the processor"}
