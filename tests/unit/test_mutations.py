"""The list of mutations follows the code: each still applies, and each says how it is caught or why it cannot be."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from tests.mutants.__main__ import REPOSITORY, Mutation, mutated, mutations
from tests.mutants.reach import NOTED, noting


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_a_mutation_applies_to_the_code_as_it_is(mutation: Mutation) -> None:
    original = (REPOSITORY / mutation.file).read_text(encoding="utf-8")
    assert mutated(mutation, original) != original
    assert bool(mutation.tests) != bool(mutation.equivalent)
    assert all((REPOSITORY / test).exists() for test in mutation.tests)


def test_mutations_have_names_of_their_own() -> None:
    names = [mutation.name for mutation in mutations()]
    assert len(set(names)) == len(names)


SOURCE = """
BOUND = 1


class Work:
    def one(self, number: int) -> int:
        \"\"\"Doubled, but for small ones.\"\"\"
        if number < BOUND:
            return number
        try:
            number *= 2
        except ValueError:
            number = 0
        return number
"""


@pytest.mark.parametrize(
    ("line", "numbers", "reached"),
    [
        ("BOUND = 1", [], True),
        ("def one", [], False),
        ("def one", [5], True),
        ("if number < BOUND", [5], True),
        ("    return number\n        try", [5], False),
        ("    return number\n        try", [0], True),
        ("number *= 2", [0], False),
        ("number *= 2", [5], True),
        ("number = 0", [5], False),
    ],
)
def test_a_place_that_a_mutation_changes_notes_that_it_was_reached(
    line: str, numbers: list[int], reached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: set[str] = set()
    monkeypatch.setattr(builtins, NOTED, noted, raising=False)
    module: dict[str, Any] = {}
    exec(noting(SOURCE, {"it": SOURCE.count("\n", 0, SOURCE.index(line)) + 1}), module)
    for number in numbers:
        module["Work"]().one(number)
    assert bool(noted) == reached
