"""The views of the mart and the service that reads them agree on the order of a row's values."""

from __future__ import annotations

import re

import pytest

from clickhouse.migrator import SCHEMA, statements
from schemas.mart import COLUMNS, KEPT_BACK, MartRow, RowVersion

NAMES = {"shared": "s", "generation_database": "g", "definer": "d"}


@pytest.mark.parametrize(("view", "row"), [("reports_of_users", MartRow), ("report_versions_of_users", RowVersion)])
def test_a_views_tuple_is_the_row_that_the_service_reads(view: str, row: type[MartRow] | type[RowVersion]) -> None:
    (definition,) = [text for text in statements((SCHEMA / "views.sql").read_text("utf-8"), NAMES) if f".{view} " in text]
    values = re.search(r"SELECT tuple\(([^)]*)\) AS report", definition)
    assert values is not None
    assert tuple(name.strip() for name in values[1].split(",")) == row._fields


def test_a_reader_gets_every_column_but_those_kept_back_on_purpose() -> None:
    assert set(COLUMNS) - set(KEPT_BACK) == set(MartRow._fields)
    assert set(RowVersion._fields) <= set(MartRow._fields)
