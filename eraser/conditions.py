"""Which rows go, as conditions for ClickHouse. Only our own identifiers are put into SQL by text; values are parameters."""

from __future__ import annotations

from typing import Any

from eraser.ports import Documents, Empty, Events, Intervals, Remains, Rows

Condition = tuple[str, dict[str, Any]]
"""Text and parameters."""

INSIDE = "arrayExists((b, e) -> toUnixTimestamp64Micro(recorded_at) >= b AND toUnixTimestamp64Micro(recorded_at) < e, %(begins)s, %(ends)s)"
NAMED = "position(document, %(u)s) > 0"
VERSIONS = {"user_daily_reports": "version", "report_state": "next_offset"}
"""The column by which rows of a key replace each other."""


def inside(prosthesis_id: str, intervals: Intervals) -> dict[str, Any]:
    """The parameters of ``INSIDE`` and of the prosthesis."""
    return {"p": prosthesis_id, "begins": [begin for begin, _ in intervals], "ends": [end for _, end in intervals]}


def condition(what: Remains, database: str) -> Condition:
    """The rows of *what* in *database*."""
    match what:
        case Events():
            return _events(what)
        case Rows():
            return _rows(what, database)
        case Empty():
            return _empty(what)
        case Documents():
            return _documents(what)


def _events(what: Events) -> Condition:
    parameters = inside(what.prosthesis_id, what.intervals)
    if not what.moved:
        return f"prosthesis_id = %(p)s AND {INSIDE}", parameters
    return f"prosthesis_id = %(p)s AND ({INSIDE} OR (event_id_hi, event_id_lo) IN %(moved)s)", parameters | {"moved": what.moved}


def _rows(what: Rows, database: str) -> Condition:
    mine, parameters = "prosthesis_id = %(p)s AND user_id = %(u)s", {"p": what.prosthesis_id, "u": what.user_id}
    if what.before is None:
        return mine, parameters
    # A state has the next offset where a report has the last one.
    older = "version < %(before)s" if what.table == "user_daily_reports" else "next_offset <= %(before)s"
    kept = _but_empty(what.table, database, mine) if what.but_empty else ""
    return f"{mine} AND {older}{kept}", parameters | {"before": what.before}


def _but_empty(table: str, database: str, mine: str) -> str:
    if table == "user_daily_reports":
        return " AND is_deleted = 0"
    empty = f"SELECT report_date, max(version) + 1 FROM {database}.user_daily_reports WHERE {mine} GROUP BY report_date HAVING argMax(is_deleted, version) = 1"
    return f" AND (report_date, next_offset) NOT IN ({empty})"


def _empty(what: Empty) -> Condition:
    prostheses, days, versions = (list(column) for column in zip(*what.keys, strict=True))
    text = (
        "user_id = %(u)s AND arrayExists((p, d, v) -> prosthesis_id = p AND toInt32(report_date) = d"
        f" AND {VERSIONS[what.table]} <= v, %(prostheses)s, %(days)s, %(versions)s)"
    )
    return text, {"u": what.user_id, "prostheses": prostheses, "days": days, "versions": versions}


def _documents(what: Documents) -> Condition:
    parameters: dict[str, Any] = {"u": what.user_id}
    if what.below is None:
        if what.prosthesis_id is None:
            return NAMED, parameters
        return f"{NAMED} AND prosthesis_id = %(p)s", parameters | {"p": what.prosthesis_id}
    text = f"{NAMED} AND arrayExists((p, o) -> prosthesis_id = p AND crm_offset < o, %(prostheses)s, %(offsets)s)"
    return text, parameters | {"prostheses": list(what.below), "offsets": list(what.below.values())}
