"""Generated telemetry is what Debezium would have written, and the recomputation that judges the subjects can tell a wrong mart."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks.expected import check, recomputed
from benchmarks.results import WrongResultsError
from benchmarks.telemetry import KINDS, envelopes, generate, ownership_document
from schemas.ownership import decode

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples" / "prosthesis.log"


def shape(value: Any) -> Any:
    """Names in their order, types in place of values; an integer's or text's length does not matter."""
    if isinstance(value, dict):
        return [(name, shape(inner)) for name, inner in value.items()]
    return type(value).__name__


@pytest.mark.parametrize("kind", KINDS)
def test_an_envelope_has_the_shape_of_a_real_one_to_the_byte(kind: str) -> None:
    real = json.loads((EXAMPLES / f"insert_{kind}.json").read_text(encoding="utf-8"))["value"]
    events = generate(200, 10)
    made = [text for text in envelopes(events) if f'"kind":"{kind}"' in text]
    assert made
    for text in made:
        assert shape(json.loads(text)) == shape(real)
        assert json.dumps(json.loads(text), separators=(",", ":")) == text


def test_the_same_arguments_give_the_same_events() -> None:
    assert list(envelopes(generate(50, 5))) == list(envelopes(generate(50, 5)))
    assert list(envelopes(generate(50, 5))) != list(envelopes(generate(50, 5, seed=2)))


def test_each_prosthesis_has_one_report_and_each_event_is_in_one() -> None:
    mart = recomputed(generate(5_000, 20))
    assert len(mart) == 20
    assert {day for _, day, _ in mart} == {date(2026, 9, 15)}
    assert sum(metrics[0] for metrics in mart.values()) == 5_000


def test_a_mart_that_differs_in_one_number_is_refused() -> None:
    wanted = recomputed(generate(500, 5))
    check("subject", wanted, wanted)
    key = next(iter(wanted))
    with pytest.raises(WrongResultsError, match="1 of 5 reports differ"):
        check("subject", wanted | {key: (*wanted[key][:-1], wanted[key][-1] + 1)}, wanted)
    with pytest.raises(WrongResultsError, match="1 of 5 reports differ"):
        check("subject", {one: metrics for one, metrics in wanted.items() if one != key}, wanted)
    with pytest.raises(WrongResultsError):
        check("subject", {}, {})


def test_an_ownership_document_is_readable_and_open() -> None:
    document = decode(ownership_document(7))
    assert document.prosthesis_id == "7"
    assert document.intervals[0].ends_us is None
