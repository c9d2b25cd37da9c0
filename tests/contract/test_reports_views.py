"""The views of the mart and the service that reads them agree on the order of a row's values."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from clickhouse.migrator import SCHEMA, statements
from schemas.mart import COLUMNS, KEPT_BACK, MartRow, RowVersion
from schemas.reader_views import ErrorRow, OwnershipRow, TypicalHourRow
from service_kit.support_access import DENSE, LEAST_SEARCH_CHARS

NAMES = {"shared": "s", "generation_database": "g", "definer": "d"}


@pytest.mark.parametrize(("view", "row"), [("reports_of_users", MartRow), ("report_versions_of_users", RowVersion)])
def test_a_views_tuple_is_the_row_that_the_service_reads(view: str, row: type[MartRow] | type[RowVersion]) -> None:
    (definition,) = [text for text in statements((SCHEMA / "views.sql").read_text("utf-8"), NAMES) if f".{view} " in text]
    values = re.search(r"SELECT tuple\(([^)]*)\) AS report", definition)
    assert values is not None
    assert tuple(name.strip() for name in values[1].split(",")) == row._fields


@pytest.mark.parametrize(
    ("view", "row"), [("errors_of_users", ErrorRow), ("typical_day_of_users", TypicalHourRow), ("prostheses_of_users", OwnershipRow)]
)
def test_a_tuple_of_a_view_beside_reports_has_as_many_values_as_its_row_names(view: str, row: type[NamedTuple]) -> None:
    (definition,) = [text for text in statements((SCHEMA / "views.sql").read_text("utf-8"), NAMES) if f".{view} " in text]
    _, _, beginning = definition.partition("SELECT tuple(")
    depth, values = 0, 1
    for character in beginning.partition(") AS report")[0]:
        depth += (character in "([") - (character in ")]")
        values += character == "," and not depth
    assert values == len(row._fields)


def test_a_reader_gets_every_column_but_those_kept_back_on_purpose() -> None:
    assert set(COLUMNS) - set(KEPT_BACK) == set(MartRow._fields)
    assert set(RowVersion._fields) <= set(MartRow._fields)


def test_the_view_of_supports_search_takes_what_the_services_take() -> None:
    (definition,) = [text for text in statements((SCHEMA / "views.sql").read_text("utf-8"), NAMES) if ".wearers_by_text " in text]
    assert f"countMatches(w, '[{DENSE}]')" in definition
    assert f"if(n < 2, 0, n), lengths) >= {LEAST_SEARCH_CHARS}" in definition
