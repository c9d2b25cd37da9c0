"""Kill points stand in methods that the product calls: an overridden name that the product no longer has would never be reached."""

from __future__ import annotations

import pytest

from tests.chaos import worker

DYING = [worker.DyingOutput, worker.DyingIntake, worker.DyingConsumer, worker.DyingProcessor]


@pytest.mark.parametrize("dying", DYING, ids=lambda dying: dying.__name__)
def test_every_overridden_method_is_one_of_the_product(dying: type) -> None:
    own = {name for name, value in vars(dying).items() if callable(value)}
    assert {name for name in own if not any(hasattr(base, name) for base in dying.__bases__)} == set()
