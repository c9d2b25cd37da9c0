"""Commands that `make test` does not run are at least whole: every module of theirs can be imported."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
MODULES = sorted(
    f"tests.{file.parent.name}.{file.stem}"
    for folder in ("bare", "chaos", "compose", "load", "mutants")
    for file in (TESTS / folder).glob("*.py")
    if not file.name.startswith(("__init__", "test_"))
)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_a_trial_can_be_imported(module: str) -> None:
    assert importlib.import_module(module).__doc__
