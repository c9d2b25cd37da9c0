"""The named invariants: some are looked at with every effect, the others when all is at rest."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from schemas.erasure import subject_of
from schemas.keys import DEAD_LETTER_TOPIC, LOG_TOPIC, partition_of
from schemas.ownership import decode
from tests.simulation.broker import Stored
from tests.simulation.group import TP
from tests.simulation.schedule import GARBAGE
from tests.support.log_model import PARTITIONS

if TYPE_CHECKING:
    from schemas.erasure_rules import ErasureRule
    from tests.simulation.rebuilding import Generation
    from tests.simulation.world import World
    from tests.support.memory_store import MemoryStore


class Broken(AssertionError):  # noqa: N818 - named for what it is
    """An invariant does not hold."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


@functools.lru_cache(10_000)
def _source_time(value: bytes) -> int:
    return int(json.loads(value)["source"]["ts_ms"]) if b'"ts_ms"' in value else 0


def _latest(records: Iterable[Stored]) -> int:
    """The latest source's time of *records*, in milliseconds; 0 where none has one."""
    return max((_source_time(record.value) for record in records if record.value), default=0)


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The fields of two reports that differ; a tombstone has none."""
    if not one or not other:
        return f"a tombstone {'first' if not one else 'after it'}"
    return ", ".join(f"{name}: {value!r} and {other[name]!r}" for name, value in one.items() if repr(value) != repr(other[name]))


class Watch:
    def __init__(self, world: World) -> None:
        self._world = world
        self._contents: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        self._expired: dict[int, int] = {}
        """By partition of the log, the latest source's time of what retention took."""
        self.begins: dict[int, int] = {}
        """Where the present generation begins to read the log."""
        self.broken: Broken | None = None

    def raise_if_broken(self) -> None:
        if self.broken is not None:
            raise self.broken

    def forget_contents(self) -> None:
        """The tables are others now."""
        self._contents.clear()

    def committed(self, generation: Generation, at: TP, offset: int) -> None:
        """Nothing acknowledged is missing: what is committed is in the tables, up to the last record before it."""
        if at[0] != LOG_TOPIC or self._world.losses.expected is not None:
            return
        handled = generation.store.positions.get(at)
        records = [r.offset for r in self._world.broker.topics[at[0]][at[1]].records if r.offset < offset]
        if records and (handled is None or handled.handled_offset < records[-1]):
            self.fail("acknowledged", f"{at[0]}/{at[1]}: {offset} is committed, handled is {handled and handled.handled_offset}")

    def before(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self._world.losses.expected is not None:
            return  # by then offsets may be those of another log
        if name == "write_reports":
            self._reports(arguments[0])
        elif name == "write_progress":
            for row in arguments[0]:
                self._as_of(row)

    def _reports(self, columns: Any) -> None:
        """A version is a place in the log. One version has one content, and one more with each rule that was decided after it: whoever handles its records again knows the rule.

        Of a tombstone readers see nothing: whose day it was may be known to one writer and not to the other. Nor do they of a row below what the report has already.
        """
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, map(copy, values), strict=True))  # codes of errors are counted on in the writer's cache
            key = (row["user_id"], row["report_date"], row["prosthesis_id"], row["version"])
            if not 0 <= row["version"] < (end := self._end_of_log(row)):
                self.fail("versions", f"report {key[0]} {key[1]} {key[2]} has version {key[3]}, the log ends at {end}")
            seen = self._world.store.reports.get(key[:3])
            if seen is not None and seen["version"] > row["version"]:
                continue
            content: dict[str, Any] = {} if row["is_deleted"] else row
            known = self._contents.setdefault(key, [])
            if content in known:
                continue
            known.append(content)
            if len(known) > 1 + self._rules_after(row["prosthesis_id"], row["version"]):
                self.fail(
                    "versions",
                    f"report {key[0]} {key[1]} {key[2]} has two contents at version {key[3]}: {_difference(known[0], content)}",
                )

    def _end_of_log(self, row: dict[str, Any]) -> int:
        return self._world.broker.topics[LOG_TOPIC][row["log_partition"]].end

    def _rules_after(self, prosthesis_id: str, version: int) -> int:
        return sum(rule.prosthesis_id == prosthesis_id and rule.offset > version for rule in self._world.store.rules.values())

    def _as_of(self, row: Any) -> None:
        """``as_of`` never claims more than is there, and never goes back."""
        if row.topic != LOG_TOPIC:
            return
        stored = self._world.store.positions.get((row.topic, row.partition))
        handled = max(row.handled_offset, stored.handled_offset if stored else -1)
        there = [r for r in self._world.broker.topics[row.topic][row.partition].records if r.offset <= handled]
        latest = max(self._expired.get(row.partition, 0), _latest(there))
        if stored is not None and row.handled_offset >= stored.handled_offset and row.as_of_ms < stored.as_of_ms:
            self.fail("as_of", f"{row.topic}/{row.partition} goes back from {stored.as_of_ms} to {row.as_of_ms} at {row.handled_offset}")
        if row.as_of_ms > latest:
            self.fail("as_of", f"{row.topic}/{row.partition} claims {row.as_of_ms} at {row.handled_offset}, it is {latest}")

    def expired(self, gone: Sequence[Stored]) -> None:
        """Retention took *gone*, the oldest records of a partition of the log."""
        for record in gone[:1]:
            self._expired[record.partition] = max(self._expired.get(record.partition, 0), _latest(gone))

    def at_rest(self) -> None:
        """All is handled: every report is what the sources make it."""
        self.raise_if_broken()
        world = self._world
        world.telemetry.documents = world.crm.documents()
        world.telemetry.erased = world.erased + world.erase_commands()
        expected, found = world.telemetry.mart(), world.store.live_reports()
        if expected != found:
            self._tell_difference(expected, found)
        self._dead_letters()

    def _dead_letters(self) -> None:
        """What cannot be used, or stands in another partition than its key's, has left a letter that names its place."""
        broker = self._world.broker
        named = {
            (at["bionicpro-dead-partition"], at["bionicpro-dead-offset"])
            for at in (dict(r.headers) for r in broker.values(DEAD_LETTER_TOPIC))
        }
        for record in broker.values(LOG_TOPIC):
            unusable = record.value in GARBAGE or partition_of(record.key or b"", PARTITIONS) != record.partition
            place = str(record.partition).encode(), str(record.offset).encode()
            if unusable and record.offset >= self.begins.get(record.partition, 0) and place not in named:
                raise Broken("dead letters", f"{record.value!r} at {record.partition}@{record.offset} left none")

    def at_the_end(self) -> None:
        self.at_rest()
        self._erasures()

    def _erasures(self) -> None:
        """Nothing erased is anywhere, in no version and no generation: not what a rule covers, and nothing under any user that a deleted customer ever was."""
        left = [what for generation in self._world.generations for what in self._left_in(generation.store)]
        if left:
            raise Broken("erasures", f"{len(left)} rows are left, among them {sorted(left)[0]}")

    def _left_in(self, store: MemoryStore) -> list[str]:
        crm = self._world.crm
        gone = {user for customer, users in crm.users.items() if customer not in crm.tables["customers"] for user in users}
        gone -= {customer["user_id"] for customer in crm.tables["customers"].values()}  # there again under the number from before
        left = [f"report of {user}, {prosthesis}" for user, _, prosthesis, _ in store.report_rows if user in gone]
        left += [f"state of {user}, {prosthesis}" for _, prosthesis, user, _ in store.state_rows if user in gone]
        left += [
            f"document of {interval.user_id}, {prosthesis}"
            for (prosthesis, _), document in store.document_rows.items()
            for interval in decode(document.document).intervals
            if interval.user_id in gone
        ]
        for rule in store.rules.values():
            left += self._covered(store, rule)
        return [*left, *self._owed(store)]

    def _owed(self, store: MemoryStore) -> list[str]:
        """What is left of the time of contracts that were deleted, when or before their customers went, and that nobody else had."""
        return [
            f"event {key} of contract {number}"
            for number, owed in self._world.crm.owed.items()
            for part in store.raw_parts
            for key, row in part.items()
            if key[0] == str(owed.contract["prosthesis_id"]) and any(begin <= row["recorded_us"] < end for begin, end in owed.times or ())
        ]

    def _covered(self, store: MemoryStore, rule: ErasureRule) -> list[str]:
        """What is left of what *rule* covers. What was written by another log than the rule's was written under it."""
        subjects = {rule.subject, *rule.former_subjects}
        older = {
            user
            for user, _, prosthesis, version in store.report_rows
            if prosthesis == rule.prosthesis_id
            and version < rule.offset
            and subject_of(user) in subjects
            and rule.topic_id == self._world.broker.ids[LOG_TOPIC]
        }
        inside = [
            key
            for part in store.raw_parts
            for key, row in part.items()
            if key[0] == rule.prosthesis_id and any(begin <= row["recorded_us"] < end for begin, end in rule.intervals)
        ]
        return [f"older report of {user}, {rule.prosthesis_id}" for user in older] + [f"event {key}" for key in inside]

    def _tell_difference(self, expected: dict[Any, dict[str, Any]], found: dict[Any, dict[str, Any]]) -> None:
        for key in sorted(expected.keys() | found.keys(), key=str):
            want, have = expected.get(key), found.get(key)
            if want != have:
                fields = (
                    ""
                    if want is None or have is None
                    else ", ".join(f"{n}: {have[n]!r} for {want[n]!r}" for n in want if want[n] != have.get(n))
                )
                said = "is there and should not be" if want is None else "is missing" if have is None else fields
                raise Broken("mart", f"report {key[0]} {key[1]} {key[2]}: {said}")

    def fail(self, invariant: str, what: str) -> None:
        """To be raised when the world is looked at: here it would be raised within the product."""
        self.broken = self.broken or Broken(invariant, what)
