"""Which rows go, as conditions for ClickHouse. Only our own identifiers are put into SQL by text; values are parameters."""

from __future__ import annotations

from typing import Any

from eraser.ports import Documents, Empty, Events, Intervals, Moved, Remains, Rows

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
            return _events(what, database)
        case Moved():
            return _moved(what)
        case Rows():
            return _rows(what, database)
        case Empty():
            return _empty(what)
        case Documents():
            return _documents(what)


def moved_ids(database: str) -> str:
    """The query of the events whose newest version lies in the intervals and another one elsewhere, with that version."""
    return (
        f"SELECT event_id_hi, event_id_lo, max(lsn) FROM {database}.telemetry_events WHERE prosthesis_id = %(p)s GROUP BY 1, 2"
        f" HAVING argMax({INSIDE}, (lsn, log_offset)) AND countIf(NOT {INSIDE}) > 0"
    )


def _events(what: Events, database: str) -> Condition:
    # Parts are rewritten one after the other: the events that are spared must not depend on those that go.
    moved = f"SELECT event_id_hi, event_id_lo FROM ({moved_ids(database)})"
    text = f"prosthesis_id = %(p)s AND {INSIDE} AND (event_id_hi, event_id_lo) NOT IN ({moved})"
    return text, inside(what.prosthesis_id, what.intervals)


def _moved(what: Moved) -> Condition:
    high, low, versions = (list(column) for column in zip(*what.keys, strict=True))
    text = (
        "prosthesis_id = %(p)s AND (event_id_hi, event_id_lo) IN %(ids)s"
        " AND arrayExists((h, l, v) -> event_id_hi = h AND event_id_lo = l AND lsn <= v, %(high)s, %(low)s, %(versions)s)"
    )
    ids = [key[:2] for key in what.keys]
    return text, {"p": what.prosthesis_id, "ids": ids, "high": high, "low": low, "versions": versions}


def _rows(what: Rows, database: str) -> Condition:
    mine, parameters = "prosthesis_id = %(p)s AND user_id = %(u)s", {"p": what.prosthesis_id, "u": what.user_id}
    if what.before is None:
        return mine, parameters
    # A state has the next offset where a report has the last one.
    older = "version < %(before)s" if what.table == "user_daily_reports" else "next_offset <= %(before)s"
    kept = _but_empty(what.table, database, mine) if what.but_empty else ""
    return f"{mine} AND {older}{kept}", parameters | {"before": what.before}


def _but_empty(table: str, database: str, mine: str) -> str:
    newest = "max(version)" if table == "user_daily_reports" else "max(version) + 1"
    empty = f"SELECT report_date, {newest} FROM {database}.user_daily_reports WHERE {mine} GROUP BY report_date HAVING argMax(is_deleted, version) = 1"
    return f" AND (report_date, {VERSIONS[table]}) NOT IN ({empty})"


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
