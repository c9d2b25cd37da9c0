"""The views of the mart and the service that reads them agree on the order of a row's values."""

from __future__ import annotations

import re

import pytest

from clickhouse.migrator import SCHEMA
from reports_api.domain import MartRow, RowVersion


@pytest.mark.parametrize(("view", "row"), [("reports_of_users", MartRow), ("report_versions_of_users", RowVersion)])
def test_a_views_tuple_is_the_row_that_the_service_reads(view: str, row: type[MartRow] | type[RowVersion]) -> None:
    definition = (SCHEMA / "views.sql").read_text("utf-8").split(f".{view} ")[1].split(";")[0]
    values = re.search(r"SELECT tuple\(([^)]*)\) AS report", definition)
    assert values is not None
    assert tuple(name.strip() for name in values[1].split(",")) == row._fields
