"""The erasure rules in force, as the engine and its recomputes ask for them: read once an assignment, added to by commands of the log."""

from __future__ import annotations

import numpy as np

from schemas.commands import Erase
from schemas.erasure_rules import ErasureRule, rule_of, united
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.devices import Devices
from stream_processor.domain.erasure import ErasedTimes
from stream_processor.domain.log_records import Change, Record
from stream_processor.ports import ReportStore


class Erasures:
    """A cache of the store's rules, valid for one assignment. Rules are few; without any, asking costs nothing."""

    def __init__(self, store: ReportStore, devices: Devices) -> None:
        self._store = store
        self._devices = devices
        self._times: ErasedTimes | None = None
        self._rules: dict[tuple[str, str], ErasureRule] = {}

    @property
    def times(self) -> ErasedTimes:
        if self._times is None:
            self._times = ErasedTimes()
            self._rules = {rule.key: rule for rule in self._store.erasures()}
            for rule in self._rules.values():
                self._times.add(rule.prosthesis_id, rule.intervals)
        return self._times

    def reload(self) -> bool:
        """Take in the rules that were stored since; returns whether there were any. Another worker, of another generation, may have stored them."""
        known, self._times = self._times, None
        return known is not None and known != self.times

    def accept(self, command: Erase, record: Record, topic_id: str) -> ErasureRule:
        """From now on the rule is in force here; the row that is returned is to be stored before anything else is written, so that nobody who comes later can lack it.

        It takes the place of the row of the same erasure, and has all that that one has: the directory of another generation may have decided it with less knowledge.
        """
        self.times.add(command.prosthesis_id, command.intervals)
        rule = rule_of(command, topic_id, record.partition, record.offset)
        known = self._rules.get(rule.key)
        self._rules[rule.key] = rule = rule if known is None else united(known, rule)
        return rule

    def inside(self, events: TelemetryColumns) -> Ints | None:
        """Which events (their ``device`` is known) lie in an erased time, as a mask; None where none do."""
        ruled = [index for index in map(self._devices.known, self.times.prostheses()) if index is not None]
        if not ruled:
            return None
        mask = np.zeros(len(events), dtype=bool)
        for index in np.intersect1d(events.device, ruled).tolist():
            at = np.flatnonzero(events.device == index)
            mask[at] = self.times.cover(self._devices[index].prosthesis_id, events.recorded_us[at])
        return mask if mask.any() else None

    def cut(self, device: int, change: Change) -> bool:
        """Take what lies in an erased time out of a change. Returns whether anything is left of it."""
        prosthesis_id = self._devices[device].prosthesis_id
        if change.removed is not None and self.times.covers(prosthesis_id, int(change.removed.recorded_us[0])):
            change.removed = None
        if change.added is not None and self.times.covers(prosthesis_id, int(change.added.recorded_us[0])):
            change.added = None
        return change.removed is not None or change.added is not None
