"""What has to go of one rule from one generation. Every removal can be carried out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eraser.ports import KEYS_AT_ONCE, Before, Documents, Empty, Events, Moved, Remains, Rows, Tables
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
    """What to delete, but for ``empty_rows``. *final*: nobody can write any more what he held before the rule."""
    yield from _telemetry(tables, rule, generation, final=final)
    for user in users(tables, rule, generation):
        yield from _reports(rule, generation, user.user_id)
        yield from _documents(tables, rule, generation, user)


def empty_rows(tables: Tables, rule: ErasureRule, generation: Generation) -> Iterator[Empty]:
    """Tombstones and empty states: they hold a user id and a day, and hide what a writer that should be dead brings below them (``Standing`` tells when they may go).

    Of a customer who stays, only of days that can have no more events, and what is from before the rule.
    """
    day = ANY_DAY if rule.customer_gone else (last_day(rule) - EPOCH.date()).days
    before = Before(day, rule.offset if older(rule, generation) is Older.BY_VERSION else 0)
    for user in users(tables, rule, generation):
        where = None if user.anywhere else rule.prosthesis_id
        for table in BY_USER:
            keys = tables.empty_rows(generation.database, table, user.user_id, where, before)
            for at in range(0, len(keys), KEYS_AT_ONCE):
                yield Empty(table, user.user_id, tuple(keys[at : at + KEYS_AT_ONCE]))


def _telemetry(tables: Tables, rule: ErasureRule, generation: Generation, *, final: bool) -> Iterator[Remains]:
    """All that was recorded in an erased time; at last also what had been moved there, with the former versions elsewhere, lest they come to light.

    Earlier it would come to light all the same, where a former version's write is still on its way.
    """
    if not rule.intervals:
        return
    yield Events(rule.prosthesis_id, rule.intervals)
    moved = tables.moved_events(generation.database, rule.prosthesis_id, rule.intervals) if final else []
    if moved:
        yield Moved(rule.prosthesis_id, tuple(moved))


def users(tables: Tables, rule: ErasureRule, generation: Generation) -> list[ErasedUser]:
    """The ids that go by the rule's hashes, where the tables still know them."""
    return [
        ErasedUser(user_id, anywhere=rule.customer_gone and subject == rule.subject)
        for user_id in tables.user_ids(generation.database, rule.prosthesis_id, anywhere=rule.customer_gone)
        if (subject := subject_of(user_id)) in {rule.subject, *rule.former_subjects}
    ]


def _reports(rule: ErasureRule, generation: Generation, user_id: str) -> Iterator[Remains]:
    """Reports of the user and their states from before the rule. What is empty stays: it may be all that hides what somebody still writes below it."""
    match older(rule, generation):
        case Older.BY_VERSION:
            before: int | None = rule.offset
        case Older.ALL:
            before = None
        case Older.NONE:
            return
    for table in BY_USER:
        yield Rows(table, rule.prosthesis_id, user_id, before, but_empty=before is not None)


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
