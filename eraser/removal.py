"""What has to go of one rule from one generation, as conditions for ClickHouse. Every condition can be carried out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eraser.rules import Generation, Older, State, last_day, older
from eraser.tables import Tables
from schemas.erasure import subject_of
from schemas.erasure_rules import EPOCH, ErasureRule

KEYS_AT_ONCE = 500
_INSIDE = (
    "arrayExists((b, e) -> toUnixTimestamp64Micro(recorded_at) >= b AND toUnixTimestamp64Micro(recorded_at) < e, %(begins)s, %(ends)s)"
)


@dataclass(frozen=True)
class ErasedUser:
    """A user id of the erased person. *anywhere*: nobody else's, so that what is empty goes wherever it stands; a former id may be another customer's by now."""

    user_id: str
    anywhere: bool


@dataclass(frozen=True)
class Remains:
    """Rows of one table that have to go."""

    table: str
    condition: str
    parameters: dict[str, Any]


def remains(tables: Tables, rule: ErasureRule, generation: Generation, *, final: bool) -> Iterator[Remains]:
    """What to delete. *final*: reports that are empty and their states go too; earlier they would still hide what a zombie writes below them."""
    yield from _telemetry(tables, rule, generation)
    for user in users(tables, rule, generation):
        yield from _reports(rule, generation, user.user_id)
        if final:
            yield from _empty(tables, rule, generation, user)
        yield from _documents(tables, rule, generation, user)


def _telemetry(tables: Tables, rule: ErasureRule, generation: Generation) -> Iterator[Remains]:
    """All that was recorded in an erased time; and of what had been moved there, also the former versions elsewhere, lest they come to light."""
    if not rule.intervals:
        return
    parameters = {"p": rule.prosthesis_id, "begins": [b for b, _ in rule.intervals], "ends": [e for _, e in rule.intervals]}
    moved = tables.select(
        f"SELECT event_id_hi, event_id_lo FROM {generation.database}.telemetry_events WHERE prosthesis_id = %(p)s GROUP BY 1, 2"
        f" HAVING argMax({_INSIDE}, (lsn, log_offset)) AND countIf(NOT {_INSIDE}) > 0 LIMIT {KEYS_AT_ONCE}",
        parameters,
    )
    condition = f"prosthesis_id = %(p)s AND {_INSIDE}"
    if moved:
        condition = f"prosthesis_id = %(p)s AND ({_INSIDE} OR (event_id_hi, event_id_lo) IN %(moved)s)"
        parameters = parameters | {"moved": tuple(moved)}
    yield Remains("telemetry_events", condition, parameters)


def users(tables: Tables, rule: ErasureRule, generation: Generation) -> list[ErasedUser]:
    """The ids that go by the rule's hashes, where the tables still know them."""
    database = generation.database
    anywhere = int(rule.customer_gone)
    found = tables.select(
        f"SELECT user_id FROM {database}.user_daily_reports WHERE prosthesis_id = %(p)s OR %(anywhere)s GROUP BY user_id"
        f" UNION DISTINCT SELECT user_id FROM {database}.report_state WHERE prosthesis_id = %(p)s OR %(anywhere)s GROUP BY user_id"
        " UNION DISTINCT SELECT JSONExtractString(arrayJoin(JSONExtractArrayRaw(document, 'intervals')), 'user_id')"
        f" FROM {database}.ownership WHERE prosthesis_id = %(p)s",
        {"p": rule.prosthesis_id, "anywhere": anywhere},
    )
    return [
        ErasedUser(user_id, anywhere=rule.customer_gone and subject == rule.subject)
        for (user_id,) in found
        if (subject := subject_of(user_id)) in {rule.subject, *rule.former_subjects}
    ]


def _reports(rule: ErasureRule, generation: Generation, user_id: str) -> Iterator[Remains]:
    """Reports of the user and their states from before the rule."""
    parameters = {"p": rule.prosthesis_id, "u": user_id, "offset": rule.offset}
    mine = "prosthesis_id = %(p)s AND user_id = %(u)s"
    match older(rule, generation):
        case Older.BY_VERSION:
            yield Remains("user_daily_reports", f"{mine} AND version < %(offset)s", parameters)
            yield Remains("report_state", f"{mine} AND next_offset <= %(offset)s", parameters)
        case Older.ALL:
            yield Remains("user_daily_reports", mine, parameters)
            yield Remains("report_state", mine, parameters)
        case Older.NONE:
            return


def _empty(tables: Tables, rule: ErasureRule, generation: Generation, user: ErasedUser) -> Iterator[Remains]:
    """Tombstones and empty states: they hold a user id and a day. Of a customer who stays, only of days that can have no more events."""
    database = generation.database
    before = 1 << 30 if rule.customer_gone else (last_day(rule) - EPOCH.date()).days
    parameters = {"p": rule.prosthesis_id, "u": user.user_id, "anywhere": int(user.anywhere), "before": before}
    mine = "user_id = %(u)s AND (prosthesis_id = %(p)s OR %(anywhere)s) AND toInt32(report_date) < %(before)s"
    live = (
        f"SELECT prosthesis_id, toInt32(report_date) FROM {database}.user_daily_reports"
        " WHERE user_id = %(u)s GROUP BY 1, 2 HAVING argMax(is_deleted, version) = 0"
    )
    for table, version in (("user_daily_reports", "version"), ("report_state", "next_offset")):
        query = (
            f"SELECT prosthesis_id, toInt32(report_date), max({version}) FROM {database}.{table}"
            f" WHERE {mine} AND (prosthesis_id, toInt32(report_date)) NOT IN ({live}) GROUP BY 1, 2 LIMIT {KEYS_AT_ONCE}"
        )
        keys = tables.select(query, parameters)
        if keys:
            prostheses, days, versions = (list(column) for column in zip(*keys, strict=True))
            condition = (
                f"user_id = %(u)s AND arrayExists((p, d, v) -> prosthesis_id = p AND toInt32(report_date) = d AND {version} <= v,"
                " %(prostheses)s, %(days)s, %(versions)s)"
            )
            yield Remains(table, condition, {"u": user.user_id, "prostheses": prostheses, "days": days, "versions": versions})


def _documents(tables: Tables, rule: ErasureRule, generation: Generation, user: ErasedUser) -> Iterator[Remains]:
    """Ownership documents that name the user and that a newer one has replaced.

    The newest of a retired generation is never replaced: it goes too where the CRM knows the customer no more.
    """
    named = "position(document, %(u)s) > 0"
    parameters = {"p": rule.prosthesis_id, "u": user.user_id, "anywhere": int(user.anywhere)}
    here = "(prosthesis_id = %(p)s OR %(anywhere)s)"
    if rule.customer_gone and generation.state is State.RETIRED:
        yield Remains("ownership", f"{named} AND {here}", parameters)
        return
    newest = tables.select(
        f"SELECT prosthesis_id, max(crm_offset) FROM {generation.database}.ownership WHERE {here}"
        f" GROUP BY prosthesis_id HAVING countIf({named}) > 0 LIMIT {KEYS_AT_ONCE}",
        parameters,
    )
    if newest:
        prostheses, offsets = (list(column) for column in zip(*newest, strict=True))
        condition = f"{named} AND arrayExists((p, o) -> prosthesis_id = p AND crm_offset < o, %(prostheses)s, %(offsets)s)"
        yield Remains("ownership", condition, {"u": user.user_id, "prostheses": prostheses, "offsets": offsets})
