"""What has to go of one rule from one generation. Every removal can be carried out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eraser.ports import Documents, Empty, Events, Remains, Rows, Tables
from eraser.rules import Generation, Older, State, last_day, older
from schemas.erasure import subject_of
from schemas.erasure_rules import EPOCH, ErasureRule

ANY_DAY = 1 << 30
BY_USER = ("user_daily_reports", "report_state")


@dataclass(frozen=True)
class ErasedUser:
    """A user id of the erased person. *anywhere*: nobody else's, so that what is empty goes wherever it stands; a former id may be another customer's by now."""

    user_id: str
    anywhere: bool


def remains(tables: Tables, rule: ErasureRule, generation: Generation, *, final: bool) -> Iterator[Remains]:
    """What to delete. *final*: reports that are empty and their states go too; earlier they would still hide what a zombie writes below them."""
    yield from _telemetry(tables, rule, generation)
    for user in users(tables, rule, generation):
        yield from _reports(rule, generation, user.user_id, final=final)
        if final:
            yield from _empty(tables, rule, generation, user)
        yield from _documents(tables, rule, generation, user)


def _telemetry(tables: Tables, rule: ErasureRule, generation: Generation) -> Iterator[Remains]:
    """All that was recorded in an erased time; and of what had been moved there, also the former versions elsewhere, lest they come to light."""
    if rule.intervals:
        moved = tables.moved_events(generation.database, rule.prosthesis_id, rule.intervals)
        yield Events(rule.prosthesis_id, rule.intervals, tuple(moved))


def users(tables: Tables, rule: ErasureRule, generation: Generation) -> list[ErasedUser]:
    """The ids that go by the rule's hashes, where the tables still know them."""
    return [
        ErasedUser(user_id, anywhere=rule.customer_gone and subject == rule.subject)
        for user_id in tables.user_ids(generation.database, rule.prosthesis_id, anywhere=rule.customer_gone)
        if (subject := subject_of(user_id)) in {rule.subject, *rule.former_subjects}
    ]


def _reports(rule: ErasureRule, generation: Generation, user_id: str, *, final: bool) -> Iterator[Remains]:
    """Reports of the user and their states from before the rule. What an earlier rule left empty has no newer row above it, and stays until nobody can write below it."""
    match older(rule, generation):
        case Older.BY_VERSION:
            before: int | None = rule.offset
        case Older.ALL:
            before = None
        case Older.NONE:
            return
    for table in BY_USER:
        yield Rows(table, rule.prosthesis_id, user_id, before, but_empty=before is not None and not final)


def _empty(tables: Tables, rule: ErasureRule, generation: Generation, user: ErasedUser) -> Iterator[Remains]:
    """Tombstones and empty states: they hold a user id and a day. Of a customer who stays, only of days that can have no more events."""
    before_day = ANY_DAY if rule.customer_gone else (last_day(rule) - EPOCH.date()).days
    where = None if user.anywhere else rule.prosthesis_id
    for table in BY_USER:
        keys = tables.empty_rows(generation.database, table, user.user_id, where, before_day)
        if keys:
            yield Empty(table, user.user_id, tuple(keys))


def _documents(tables: Tables, rule: ErasureRule, generation: Generation, user: ErasedUser) -> Iterator[Remains]:
    """Ownership documents that name the user and that a newer one has replaced.

    The newest of a retired generation is never replaced: it goes too where the CRM knows the customer no more.
    """
    where = None if user.anywhere else rule.prosthesis_id
    if rule.customer_gone and generation.state is State.RETIRED:
        yield Documents(user.user_id, where, None)
        return
    newest = tables.newest_documents(generation.database, user.user_id, where)
    if newest:
        yield Documents(user.user_id, where, dict(newest))
