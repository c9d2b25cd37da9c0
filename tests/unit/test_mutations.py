"""The list of mutations follows the code: each still applies, and each says how it is caught or why it cannot be."""

from __future__ import annotations

import pytest

from tests.mutants.__main__ import REPOSITORY, Mutation, mutated, mutations


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_a_mutation_applies_to_the_code_as_it_is(mutation: Mutation) -> None:
    original = (REPOSITORY / mutation.file).read_text(encoding="utf-8")
    assert mutated(mutation, original) != original
    assert bool(mutation.tests) != bool(mutation.equivalent)
    assert all((REPOSITORY / test).exists() for test in mutation.tests)


def test_mutations_have_names_of_their_own() -> None:
    names = [mutation.name for mutation in mutations()]
    assert len(set(names)) == len(names)
