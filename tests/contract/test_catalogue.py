"""The catalogue of a report's columns and what is made of it agree: nothing is left out without a word."""

from __future__ import annotations

import hashlib

import numpy as np

from reports_api.export_csv import DERIVED, EXPORTED
from schemas.mart import ATTRIBUTE, COLUMNS, NUMBER, READ
from schemas.raw_telemetry import COLUMNS as RAW_COLUMNS
from schemas.raw_telemetry import CONTENT, RAW, TelemetryColumns
from stream_processor.domain.facets import FACETS
from stream_processor.domain.fold import FOLD_FORMAT, LAYOUT, STATE, FoldTable

NOT_EXPORTED = {
    "usage_ms_by_hour": "a list; the file has one line a day",
    "battery_first_bp_by_hour": "a list",
    "battery_last_bp_by_hour": "a list",
    "amplitude_histogram": "a list",
    "amplitude_uv_sum": "shown as the mean",
    "battery_count": "says only whether the battery's columns have values",
    "location_lat_cell": "a position is on the page alone",
    "location_lon_cell": "a position is on the page alone",
}
LAYOUTS = {2: "152c9f547121cec5"}


def test_the_fold_makes_every_number_of_the_catalogue_and_no_other() -> None:
    made = FoldTable(1).report(np.zeros(1, np.int64), [24])
    assert set(made) == {name for name, column in COLUMNS.items() if column.role == NUMBER}


def test_the_export_shows_every_number_but_those_left_out_on_purpose() -> None:
    wanted = {name for name, column in READ.items() if column.role in (NUMBER, ATTRIBUTE)} - NOT_EXPORTED.keys()
    assert wanted <= set(EXPORTED)
    assert set(EXPORTED) <= READ.keys() | DERIVED.keys()


def test_a_changed_layout_has_a_number_of_its_own() -> None:
    """States of another number are computed again from raw. Whoever changes the layout raises FOLD_FORMAT and adds its digest here."""
    operations = [(field.name, field.operation.name, field.width) for field in STATE.values()]
    digest = hashlib.sha256(repr((LAYOUT.descr, operations)).encode()).hexdigest()[:16]
    assert LAYOUTS[FOLD_FORMAT] == digest


def test_bits_of_facets_differ_and_every_content_column_is_stored() -> None:
    assert len({facet.bit for facet in FACETS}) == len(FACETS)
    assert {RAW[name].column or name for name in CONTENT} <= set(RAW_COLUMNS)
    assert len(TelemetryColumns.blank(3)) == 3
