"""Errors that the prosthesis reported, by code and severity (``docs/metrics.md``, "Errors")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from schemas.mapping import TelemetryTable
from schemas.ranges import ERROR_CODE
from schemas.raw_telemetry import ERROR, Ints, TelemetryColumns
from stream_processor.domain.facets.base import MartColumns, Operation, Placed, Selection, SourceField, StateField, StateTable
from stream_processor.domain.values import SourceRow, required, values

SEVERITIES = {"info": 1, "warning": 2, "critical": 3}


class ErrorFacet:
    name, bit = "error", ERROR
    state = (StateField("error_count", Operation.SUM), StateField("critical_count", Operation.SUM))

    def source_fields(self, table: TelemetryTable) -> Mapping[str, SourceField]:
        if not (table.error_code and table.error_severity):
            return {}
        return {
            "error_code": SourceField(table.error_code.column, Annotated[str, Meta(pattern=rf"^{ERROR_CODE}\Z")]),
            "error_severity": SourceField(table.error_severity.column, Literal[tuple(table.error_severity.values)]),
        }

    def read(self, rows: Sequence[SourceRow], table: TelemetryTable, columns: TelemetryColumns, at: Ints) -> None:
        columns.error_code[at] = required("error_code", values(rows, "error_code"))
        levels = table.error_severity.values if table.error_severity else {}
        words = required("error_severity", values(rows, "error_severity"))
        columns.error_severity[at] = [SEVERITIES[levels[word]] for word in words]

    def fold(self, table: StateTable, placed: Placed, which: Ints) -> None:
        of, events, rows = table.columns, placed.events, placed.rows[which]
        np.add.at(of["error_count"], rows, 1)
        np.add.at(of["critical_count"], rows, (events.error_severity[which] == SEVERITIES["critical"]).astype(np.int64))
        for row, code in zip(rows.tolist(), events.error_code[which].tolist(), strict=True):
            by_code = table.errors.setdefault(row, {})
            by_code[code] = by_code.get(code, 0) + 1

    def report(self, states: Selection) -> MartColumns:
        return {
            "error_count": states["error_count"].tolist(),
            "critical_error_count": states["critical_count"].tolist(),
            "errors_by_code": [states.table.errors.get(row, {}) for row in states.rows.tolist()],
        }
