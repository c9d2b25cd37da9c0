"""One look at every rule: remove, wait, look again, write the receipt. What was done is read from the tables each time, so it can be killed anywhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from eraser.ports import Empty, Part, Remains, Tables
from eraser.removal import empty_rows, remains
from eraser.rules import Generation, Phase, Receipt, has_handled, phase, to_clean
from eraser.settings import EraserSection
from eraser.standing import Standing
from schemas.erasure_rules import ErasureRule

log = structlog.get_logger()

PAUSE_S = 15.0


@dataclass
class Work:
    """*_old*: for each rule, the replaced parts that were there when nothing was left; the removal is physical once their files are gone."""

    tables: Tables
    settings: EraserSection
    standing: Standing
    clock: Callable[[], float] = time.monotonic
    _old: dict[tuple[str, str], set[Part]] = field(default_factory=dict)
    _asked: dict[tuple[str, str], float] = field(default_factory=dict)

    def look(self) -> int:
        """Do what can be done now for every rule. Returns how many are not finished. Raises EraserError and clickhouse_driver's errors."""
        rules = self.tables.rules()
        receipts = self.tables.receipts(rules)
        now = self.tables.now()
        changed = self.tables.changed_at()
        return sum(not self._one(rule, receipts.get(rule.key), now, changed) for rule in rules)

    def _one(self, rule: ErasureRule, known: Receipt | None, now: datetime, changed: datetime) -> bool:
        """Returns whether the rule is finished."""
        receipt = known or self.tables.keep(Receipt(rule, started_at=now))
        match phase(receipt, now, self.settings.settle_s, self.settings.sweep_s, changed):
            case Phase.REST:
                return True
            case Phase.SETTLE:
                return False
            case Phase.REMOVE:
                self._remove(receipt, now)
                return False
            case Phase.FINISH:
                return self._finish(receipt, now)
            case Phase.SWEEP:
                self._sweep(receipt, now)
                return True

    def _remove(self, receipt: Receipt, now: datetime) -> None:
        rule, generations = receipt.rule, self.tables.generations(receipt.rule)
        removed = self._clean(rule, to_clean(rule, generations), final=False)
        if removed:
            self.tables.keep(receipt.having(removed))
            log.info("removed", erasure_id=rule.erasure_id, prosthesis_id=rule.prosthesis_id, rows=removed)
        waiting = [generation.database for generation in generations if not has_handled(rule, generation)]
        if not removed and not waiting and self._files_are_gone(rule, generations):
            self._ripe(rule, generations, now)
            self.tables.keep(replace(receipt, removed_at=now))

    def _finish(self, receipt: Receipt, now: datetime) -> bool:
        """After nobody can write any more what they held: nothing may be left, not even what is empty."""
        rule, generations = receipt.rule, self.tables.generations(receipt.rule)
        removed, waits = self._clean_wholly(rule, generations, now)
        if removed:
            self.tables.keep(receipt.having(removed))
            return False
        if waits or not self._files_are_gone(rule, generations):
            return False
        # What became of the tables since *now* has not been looked at.
        self.tables.keep(replace(receipt, checked_at=now, finished_at=self.tables.now()))
        log.info("erased", erasure_id=rule.erasure_id, prosthesis_id=rule.prosthesis_id, rows=dict(receipt.removed))
        return True

    def _sweep(self, receipt: Receipt, now: datetime) -> None:
        """What is empty and not there for long enough is looked for again at the next look."""
        rule = receipt.rule
        removed, waits = self._clean_wholly(rule, self.tables.generations(rule), now)
        if removed:
            log.warning(
                "something had come back and is removed", erasure_id=rule.erasure_id, prosthesis_id=rule.prosthesis_id, rows=removed
            )
        if removed or not waits:
            self.tables.keep(replace(receipt.having(removed), checked_at=receipt.checked_at if waits else now))

    def _clean_wholly(self, rule: ErasureRule, generations: Sequence[Generation], now: datetime) -> tuple[Counter[str], bool]:
        """Also what is empty. Returns the rows by table, and whether some of that has to stay for a while."""
        removed = self._clean(rule, generations, final=True)
        ripe, waits = self._ripe(rule, generations, now)
        return removed + self._delete(rule, ripe), waits

    def _clean(self, rule: ErasureRule, generations: Sequence[Generation], *, final: bool) -> Counter[str]:
        return self._delete(rule, ((one.database, found) for one in generations for found in remains(self.tables, rule, one, final=final)))

    def _ripe(self, rule: ErasureRule, generations: Sequence[Generation], now: datetime) -> tuple[list[tuple[str, Empty]], bool]:
        empty = ((one.database, found) for one in generations for found in empty_rows(self.tables, rule, one))
        return self.standing.look(rule.key, empty, now)

    def _delete(self, rule: ErasureRule, what: Iterable[tuple[str, Remains]]) -> Counter[str]:
        """Delete what is there, and wait until ClickHouse has. Returns rows by table, without those that had none."""
        removed = Counter[str]()
        for database, found in what:
            rows = self.tables.count(database, found)
            if rows:
                self.tables.delete(database, found, self.settings.mutation_deadline_s)
                removed[f"{database}.{found.table}"] += rows
        if removed:
            self._old.pop(rule.key, None)
        return removed

    def _delete_files(self, left: set[Part]) -> None:
        """At most now and then, because it interrupts merges."""
        now = self.clock()
        ripe = left & self.tables.old_parts(sorted({part[0] for part in left}), self.settings.files_s)
        for place in sorted({part[:2] for part in ripe}):
            if now - self._asked.get(place, -PAUSE_S) >= min(PAUSE_S, self.settings.files_s):
                self.tables.delete_files(*place)
                self._asked[place] = now

    def _files_are_gone(self, rule: ErasureRule, generations: Sequence[Generation]) -> bool:
        """Whether the parts that a removal replaced are off the disk: all that were there when nothing was left in the tables."""
        there = self.tables.old_parts([generation.database for generation in generations])
        left = self._old[rule.key] = self._old.get(rule.key, there) & there
        if left:
            self._delete_files(left)
            return False
        del self._old[rule.key]
        return True
