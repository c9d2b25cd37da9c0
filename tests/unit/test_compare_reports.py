"""Comparison: no tolerance, every field named."""

from __future__ import annotations

from datetime import date

import pytest

from reconciliation.alignment import OrderError
from reconciliation.compare import Comparison, compare, only
from reconciliation.fields import FIELDS, Key, Rows, Value, normal

KEY = Key("u", date(2026, 11, 20), "1")
OTHER = Key("u", date(2026, 11, 21), "1")
ROW: tuple[Value, ...] = tuple(range(len(FIELDS)))


def changed(field: str, value: Value) -> tuple[Value, ...]:
    return tuple(value if name == field else old for name, old in zip(FIELDS, ROW, strict=True))


def compared(expected: Rows, actual: Rows) -> Comparison:
    return compare(sorted(expected.items()), sorted(actual.items()))


def test_equal_sides_have_no_difference_and_are_counted() -> None:
    found = compared({KEY: ROW, OTHER: ROW}, {KEY: ROW, OTHER: ROW})
    assert (found.rows, found.fields, found.unequal_keys) == (2, 2 * len(FIELDS), frozenset())


def test_nothing_compared_is_counted_as_nothing() -> None:
    found = compared({}, {})
    assert (found.rows, found.fields) == (0, 0)


@pytest.mark.parametrize("field", FIELDS)
def test_a_difference_names_its_field_with_both_values(field: str) -> None:
    found = compared({KEY: ROW}, {KEY: changed(field, "x")})
    assert [(one.key, one.field, one.expected, one.actual) for one in found.differences] == [(KEY, field, FIELDS.index(field), "x")]
    assert found.by_field() == {field: 1}


def test_rows_of_one_side_only_are_missing_or_surplus_and_compare_no_field() -> None:
    found = compared({KEY: ROW}, {OTHER: ROW})
    assert (found.missing, found.surplus, found.differences, found.fields, found.rows) == ((KEY,), (OTHER,), (), 0, 2)
    assert found.unequal_keys == {KEY, OTHER}


def test_there_is_no_tolerance() -> None:
    assert compared({KEY: changed("usage_ms", 10**15)}, {KEY: changed("usage_ms", 10**15 + 1)}).by_field() == {"usage_ms": 1}
    assert compared({KEY: changed("location_lat_cell", None)}, {KEY: changed("location_lat_cell", 0)}).by_field() == {
        "location_lat_cell": 1
    }
    assert compared({KEY: changed("usage_ms_by_hour", (1, 0))}, {KEY: changed("usage_ms_by_hour", (1,))}).by_field() == {
        "usage_ms_by_hour": 1
    }


def test_the_order_of_codes_is_no_difference() -> None:
    assert not compared({KEY: changed("errors_by_code", {"a": 1, "b": 2})}, {KEY: changed("errors_by_code", {"b": 2, "a": 1})}).differences


def test_differences_can_be_narrowed_to_keys_without_losing_the_counts() -> None:
    third = Key("u", date(2026, 11, 22), "1")
    found = compared({KEY: ROW, OTHER: ROW}, {KEY: changed("usage_ms", "x"), third: ROW})
    narrowed = only(found, [OTHER])
    assert (narrowed.differences, narrowed.missing, narrowed.surplus) == ((), (OTHER,), ())
    assert (narrowed.rows, narrowed.fields) == (3, len(FIELDS))


def test_a_type_that_no_field_has_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        normal([0.5])


def test_a_side_out_of_order_is_refused_and_not_compared() -> None:
    with pytest.raises(OrderError, match=r"2026-11-20.* comes after .*2026-11-21"):
        compare([(KEY, ROW), (OTHER, ROW)], [(OTHER, ROW), (KEY, ROW)])
    with pytest.raises(OrderError):
        compare([(KEY, ROW), (KEY, ROW)], [])
