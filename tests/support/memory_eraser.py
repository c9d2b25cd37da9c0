"""The eraser's tables over the store in memory; they pass what ClickHouse's pass (tests/integration/test_eraser_removal.py)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from eraser.ports import KEYS_AT_ONCE, Before, Documents, Empty, EmptyRow, Events, Intervals, Moved, MovedEvent, Part, Remains, Rows
from eraser.rules import Generation, Receipt, State
from schemas.erasure_rules import EPOCH, ErasureRule
from schemas.keys import LOG_TOPIC
from schemas.ownership import decode
from tests.support.memory_store import MemoryStore

DATABASE = "bionicpro_g1"
FIRST_DAY = date(1970, 1, 1)


class MemoryTables:
    """Generations, of which one serves (since *handed_over_at*); they share the rules. *clock* is the time of receipts and of files; a replaced part's files are there until they are asked to go."""

    def __init__(self, store: MemoryStore, clock: Callable[[], datetime]) -> None:
        self._stores = {DATABASE: (State.SERVING, store)}
        self._clock = clock
        self.handed_over_at = EPOCH
        self._kept: dict[tuple[str, str], Receipt] = {}
        self._old: dict[Part, datetime] = {}
        self._removals = 0

    def put(self, database: str, state: State, store: MemoryStore) -> None:
        """*database* is *store* from now on."""
        self._stores[database] = state, store

    def hand_over(self, database: str, store: MemoryStore) -> None:
        """Readers see *database* from now on."""
        for former, (state, tables) in self._stores.items():
            if state is State.SERVING:
                self._stores[former] = State.RETIRED, tables
        self.put(database, State.SERVING, store)
        self.handed_over_at = self.now()

    def _store(self, database: str) -> MemoryStore:
        return self._stores[database][1]

    def now(self) -> datetime:
        return self._clock()

    # -- rules and receipts

    def rules(self) -> list[ErasureRule]:
        store = next(iter(self._stores.values()))[1]
        return sorted(store.rules.values(), key=lambda rule: (rule.issued_us, rule.key))

    def receipts(self, rules: Sequence[ErasureRule]) -> dict[tuple[str, str], Receipt]:
        return {rule.key: replace(self._kept[rule.key], rule=rule) for rule in rules if rule.key in self._kept}

    def keep(self, receipt: Receipt) -> Receipt:
        kept = replace(receipt, version=receipt.version + 1)
        known = self._kept.get(receipt.rule.key)
        if known is None or kept.version >= known.version:
            self._kept[receipt.rule.key] = kept
        return kept

    def changed_at(self) -> datetime:
        return self.handed_over_at

    def generations(self, rule: ErasureRule) -> list[Generation]:
        return [_generation(database, state, store, rule) for database, (state, store) in self._stores.items()]

    # -- what is there

    def moved_events(self, database: str, prosthesis_id: str, intervals: Intervals) -> list[MovedEvent]:
        store = self._store(database)
        return [(*key[1:], store.raw[key]["lsn"]) for key in _moved(store, prosthesis_id, intervals)][:KEYS_AT_ONCE]

    def user_ids(self, database: str, prosthesis_id: str, *, anywhere: bool) -> list[str]:
        store = self._store(database)
        found = {key[0] for key in store.report_rows if anywhere or key[2] == prosthesis_id}
        found |= {key[2] for key in store.state_rows if anywhere or key[1] == prosthesis_id}
        found |= {
            interval.user_id
            for (prosthesis, _), document in store.document_rows.items()
            if prosthesis == prosthesis_id
            for interval in decode(document.document).intervals
        }
        return sorted(found)

    def empty_rows(self, database: str, table: str, user_id: str, prosthesis_id: str | None, before: Before) -> list[EmptyRow]:
        store = self._store(database)
        live = {(p, day_of(on)) for (user, on, p), row in store.reports.items() if user == user_id and not row["is_deleted"]}
        highest: dict[tuple[str, int], int] = {}
        for user, prosthesis, day, version in _keys(store, table):
            if user == user_id and prosthesis_id in {None, prosthesis} and (prosthesis, day) not in live:
                highest[prosthesis, day] = max(version, highest.get((prosthesis, day), version))
        bound = before.offset if table == "user_daily_reports" else before.offset + 1
        return [(*key, version) for key, version in sorted(highest.items()) if key[1] < before.day or version < bound]

    def newest_documents(self, database: str, user_id: str, prosthesis_id: str | None) -> list[tuple[str, int]]:
        store = self._store(database)
        naming = {p for (p, _), document in store.document_rows.items() if user_id.encode() in document.document}
        newest: dict[str, int] = {}
        for prosthesis, offset in store.document_rows:
            if prosthesis in naming and prosthesis_id in {None, prosthesis}:
                newest[prosthesis] = max(offset, newest.get(prosthesis, offset))
        return sorted(newest.items())[:KEYS_AT_ONCE]

    # -- removal

    def count(self, database: str, what: Remains) -> int:
        return len(_found(self._store(database), what))

    def delete(self, database: str, what: Remains, _deadline_s: float) -> None:
        store = self._store(database)
        found = _found(store, what)
        match what:
            case Events() | Moved():
                _delete_events(store, found)
            case Documents():
                store.document_rows = {key: row for key, row in store.document_rows.items() if key not in found}
                store.documents = {p: row for (p, _), row in sorted(store.document_rows.items(), key=lambda item: item[0])}
            case Rows() | Empty() if what.table == "user_daily_reports":
                for user, prosthesis, day, version in found:
                    del store.report_rows[user, FIRST_DAY + timedelta(days=day), prosthesis, version]
                store.reports = {key[:3]: row for key, row in sorted(store.report_rows.items(), key=lambda item: item[0][3])}
            case Rows() | Empty():
                for user, prosthesis, day, version in found:
                    del store.state_rows[day, prosthesis, user, version - 1]
                store.state = {key[:3]: row for key, row in sorted(store.state_rows.items(), key=lambda item: item[0][3])}
        self._removals += 1
        self._old[database, what.table, f"removed-{self._removals}"] = self._clock()

    # -- files

    def old_parts(self, _databases: Sequence[str], at_least_s: float = 0) -> set[Part]:
        until = self._clock() - timedelta(seconds=at_least_s)
        return {part for part, since in self._old.items() if since <= until}

    def delete_files(self, database: str, table: str) -> None:
        self._old = {part: since for part, since in self._old.items() if part[:2] != (database, table)}


def database_of(number: int) -> str:
    return f"bionicpro_g{number}"


def _generation(database: str, state: State, store: MemoryStore, rule: ErasureRule) -> Generation:
    rows = {partition: row for (topic, partition), row in store.positions.items() if topic == LOG_TOPIC}
    if not rows:
        return Generation(database, state, None, None)
    handled = rows[rule.partition].handled_offset if rule.partition in rows else -1
    return Generation(database, state, next(iter(rows.values())).topic_id, handled)


def day_of(on: date) -> int:
    """Days since 1970-01-01."""
    return (on - FIRST_DAY).days


def _moved(store: MemoryStore, prosthesis_id: str, intervals: Intervals) -> list[tuple[str, int, int]]:
    """Events whose newest version lies in *intervals* and another one elsewhere."""
    outside = {
        key
        for part in store.raw_parts
        for key, row in part.items()
        if key[0] == prosthesis_id and not _inside(row["recorded_us"], intervals)
    }
    newest = store.raw
    return [key for key in sorted(outside) if _inside(newest[key]["recorded_us"], intervals)]


def _keys(store: MemoryStore, table: str) -> list[tuple[str, str, int, int]]:
    """(user, prosthesis, day, version) of every row; a state's version is its next offset."""
    if table == "user_daily_reports":
        return [(user, p, day_of(on), version) for user, on, p, version in store.report_rows]
    return [(user, p, day, folded_to + 1) for day, p, user, folded_to in store.state_rows]


def _found(store: MemoryStore, what: Remains) -> set[Any]:
    """The keys of the rows of *what*, in the form of their table."""
    match what:
        case Events():
            moved = set(_moved(store, what.prosthesis_id, what.intervals))
            return {
                (number, key)
                for number, part in enumerate(store.raw_parts)
                for key, row in part.items()
                if key[0] == what.prosthesis_id and _inside(row["recorded_us"], what.intervals) and key not in moved
            }
        case Moved():
            upto_lsn = {(what.prosthesis_id, high, low): lsn for high, low, lsn in what.keys}
            return {
                (number, key)
                for number, part in enumerate(store.raw_parts)
                for key, row in part.items()
                if row["lsn"] <= upto_lsn.get(key, -1)
            }
        case Rows():
            before = what.before if what.table == "user_daily_reports" or what.before is None else what.before + 1
            return {
                key
                for key in _keys(store, what.table)
                if key[:2] == (what.user_id, what.prosthesis_id)
                and (before is None or key[3] < before)
                and not (what.but_empty and _is_empty(store, what.table, key))
            }
        case Empty():
            upto = {(p, day): version for p, day, version in what.keys}
            return {key for key in _keys(store, what.table) if key[0] == what.user_id and key[3] <= upto.get(key[1:3], -1)}
        case Documents():
            return {key for key, row in store.document_rows.items() if _goes(what, key, row.document)}


def _delete_events(store: MemoryStore, found: Collection[Any]) -> None:
    for number, key in found:
        del store.raw_parts[number][key]
    store.raw = {}
    for part in store.raw_parts:
        for key, row in part.items():
            if key not in store.raw or row["lsn"] >= store.raw[key]["lsn"]:
                store.raw[key] = row


def _is_empty(store: MemoryStore, table: str, key: tuple[str, str, int, int]) -> bool:
    """Whether the row is a tombstone that is its report's newest row, or the state of one."""
    user, prosthesis, day, version = key
    place = user, FIRST_DAY + timedelta(days=day), prosthesis
    newest = store.reports.get(place)
    above = 0 if table == "user_daily_reports" else 1
    return newest is not None and bool(newest["is_deleted"]) and version == newest["version"] + above


def _inside(at_us: int, intervals: Intervals) -> bool:
    return any(begin <= at_us < end for begin, end in intervals)


def _goes(what: Documents, key: tuple[str, int], document: bytes) -> bool:
    if what.user_id.encode() not in document:
        return False
    if what.below is None:
        return what.prosthesis_id in {None, key[0]}
    return key[1] < what.below.get(key[0], -1)
