"""Connectors for any source: what a connector's settings owe to the source mapping is made from it, all else is as in this folder's files.

The demo's own files are what this makes of the demo's mapping (``tests/contract/test_generated_connectors.py``). Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from connectors.apply import Connector
from schemas import limits
from schemas.mapping import SourceMapping, bare, signals_table


def generate(template: Connector, mapping: SourceMapping) -> Connector:
    """The connector *template* (``crm`` or ``telemetry``, as its file has it) for the source that *mapping* describes.

    Only the columns that the mapping names are captured: what no report needs, least of all of a person, does not leave the source.
    """
    if template.name == "crm":
        crm = mapping.crm
        tables: dict[str, Sequence[str]] = {table.table: table.columns for table in (crm.customers, crm.prostheses, crm.contracts)}
        return Connector("crm", {**template.config, **_captured("crm", tables, crm.heartbeats.table)})
    telemetry = mapping.telemetry
    own = {
        "message.key.columns": f"{telemetry.table}:{telemetry.prosthesis_id.column},{telemetry.event_id.column}",
        "predicates.events.pattern": re.escape(f"telemetry.{telemetry.table}"),
        "predicates.heartbeats.pattern": re.escape(f"telemetry.{mapping.heartbeats.table}"),
        "transforms.eventKey.field": telemetry.prosthesis_id.column,
    }
    captured = _captured("telemetry", {telemetry.table: telemetry.columns}, mapping.heartbeats.table)
    return Connector("telemetry", {**template.config, **captured, **own})


def text_of(connector: Connector) -> str:
    """The connector as its file holds it."""
    return json.dumps({"name": connector.name, "config": dict(connector.config)}, indent=2) + "\n"


def _captured(prefix: str, tables: Mapping[str, Sequence[str]], heartbeats: str) -> dict[str, str]:
    """The settings that name tables and columns. *prefix*: what the connector puts before a table's name to name its topic."""
    signals = signals_table(next(iter(tables)))
    whole = [rf"{re.escape(name)}\..*" for name in (heartbeats, signals)]
    columns = [rf"{re.escape(table)}\.({'|'.join(map(re.escape, names))})" for table, names in tables.items()]
    schemas = sorted({name.removesuffix(bare(name)).removesuffix(".") for name in (*tables, heartbeats)})
    routed = re.escape(schemas[0]) if len(schemas) == 1 else f"({'|'.join(map(re.escape, schemas))})"
    return {
        "table.include.list": ",".join((*tables, heartbeats)),
        "column.include.list": ",".join((*columns, *whole)),
        f"column.truncate.to.{limits.TEXT_CHARACTERS}.chars": ",".join(rf"{re.escape(table)}\..*" for table in (*tables, heartbeats)),
        "signal.data.collection": signals,
        "heartbeat.action.query": f"UPDATE {heartbeats} SET beat_at = clock_timestamp()",  # noqa: S608 - a name of the operator's own mapping
        "transforms.route.regex": rf"{prefix}\.{routed}\..*",
    }
