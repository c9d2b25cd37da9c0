"""A crash came between raw and the reports: raw has an event's newest content alone, and the records before it are handled again, some of them by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.erasure_rules import ErasureRule
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership
from stream_processor.engine import Engine, EngineSettings
from stream_processor.ports import StoreUnavailable
from tests.support.log_model import PARTITIONS, LogRecord, Sources, micro
from tests.support.memory_store import MemoryStore

NOON = micro(datetime(2026, 5, 4, 12, tzinfo=UTC))
DAY = 86_400_000_000
BATTERY: dict[str, Any] = {"kind": "battery", "battery_percent": 50, "prosthesis_id": 1, "recorded_us": NOON}


class DiesAfterRaw(MemoryStore):
    """The process ends between raw and mart."""

    def write_telemetry(self, *arguments: Any) -> None:
        super().write_telemetry(*arguments)
        raise StoreUnavailable("ended between raw and mart")


class Case:
    """Two events of one day, handled; what is said after them is handled by a worker that ends behind raw, and then by its successor."""

    def __init__(self) -> None:
        self.sources, self.store = Sources(), MemoryStore()
        self.sources.own(1, [Ownership(NOON - 9 * DAY, None, "u", "u", "Name", "UTC", "u", "N")])
        for _ in range(2):
            self.sources.insert(BATTERY)
        self.engine().process(self.records(), epoch=1)
        self._known = len(self.records())

    def engine(self, store: MemoryStore | None = None) -> Engine:
        return Engine(store or self.store, SourceMapping.read(), EngineSettings("log", "id", PARTITIONS))

    def records(self) -> list[LogRecord]:
        return [record for partition in self.sources.log for record in partition]

    @property
    def news(self) -> list[LogRecord]:
        return self.records()[self._known :]

    def dies_behind_raw(self) -> None:
        dying = DiesAfterRaw()
        dying.__dict__.update(self.store.__dict__)
        with pytest.raises(StoreUnavailable):
            self.engine(dying).process(self.news, epoch=1)

    @property
    def counts(self) -> list[int]:
        return [row["event_count"] for row in self.store.live_reports().values()]

    @property
    def handled(self) -> int:
        return max(row.handled_offset for row in self.store.positions.values())


def read_again(sources: Sources) -> None:
    sources.recompute(1)
    sources.incremental_snapshot()


def corrected(sources: Sources) -> None:
    sources.recompute(1)
    sources.update(1, {"battery_percent": 20})


@pytest.mark.parametrize("said", [read_again, corrected])
def test_no_event_is_gone_from_its_report_while_records_are_handled_again(said: Callable[[Sources], None]) -> None:
    case = Case()
    said(case.sources)
    case.dies_behind_raw()
    handled, successor = case.handled, case.engine()
    for record in case.news[:-1]:
        outcome = successor.process([record], epoch=1, whole=False)
        assert (case.counts, case.handled) == ([2], handled)
        assert outcome.unfinished == {record.partition}
    assert not successor.process(case.news[-1:], epoch=1, whole=False).unfinished
    assert case.store.live_reports() == case.sources.mart()
    assert case.handled == case.news[-1].offset


def test_one_version_of_a_report_has_one_content_though_its_event_has_moved_away_by_now() -> None:
    """Seed 910171: version 23 had two events, and then one, whose other had moved at offset 27."""
    case = Case()
    case.sources.insert(BATTERY)
    case.engine().process(case.news, epoch=1)
    version = case.news[-1].offset
    case.sources.update(3, {"recorded_us": NOON - 3 * DAY})
    case.dies_behind_raw()
    successor = case.engine()
    case.store.positions.clear()  # the worker before ended with its mart written and its position not
    case.store.state.clear()
    assert successor.process(case.news[:1], epoch=1, whole=False).unfinished
    assert (case.counts, [key[3] for key in case.store.report_rows if key[3] == version]) == ([3], [version])
    assert not successor.process(case.news[1:], epoch=1, whole=False).unfinished
    assert case.store.live_reports() == case.sources.mart()


class OvertakenAfterItAsked(MemoryStore):
    """Between the question whether raw has anything from ahead and the read another worker writes there."""

    overtake: Callable[[], None] | None = None

    def from_ahead(self, reach: Mapping[str, int]) -> set[str]:
        found = super().from_ahead(reach)
        if self.overtake is not None:
            once, self.overtake = self.overtake, None
            once()
        return found


@pytest.mark.parametrize("said", [read_again, corrected])
def test_what_was_read_while_another_worker_wrote_from_ahead_is_not_written(said: Callable[[Sources], None]) -> None:
    """Seed 6002311: a worker that had lost the partition in the middle of its batch took the report away, until its successor wrote it."""
    case = Case()
    said(case.sources)
    overtaken = OvertakenAfterItAsked()
    overtaken.__dict__.update(case.store.__dict__)
    overtaken.overtake = case.dies_behind_raw
    outcome = case.engine(overtaken).process(case.news[:1], epoch=1, whole=False)
    assert outcome.unfinished
    assert case.counts == [2]
    successor = case.engine()
    successor.process(case.news, epoch=2)
    assert case.store.live_reports() == case.sources.mart()


def test_where_everything_is_to_be_finished_nothing_waits() -> None:
    """A batch that fails is handled record by record, each for good."""
    case = Case()
    corrected(case.sources)
    case.dies_behind_raw()
    successor = case.engine()
    for record in case.news:
        assert not successor.process([record], epoch=1).unfinished
    assert case.store.live_reports() == case.sources.mart()


def test_nothing_waits_for_a_record_that_is_left_out_when_it_comes() -> None:
    """By then it lies in an erased time, and reaches no report."""
    case = Case()
    case.sources.recompute(1)
    case.sources.insert(BATTERY | {"recorded_us": NOON + DAY})
    case.dies_behind_raw()
    rule = ErasureRule(
        prosthesis_id="1", erasure_id="e", subject="s", intervals=((NOON + DAY, NOON + DAY + 1),), issued_us=NOON, parts=1,
        customer_gone=False, reason="test", topic_id="id", partition=case.news[0].partition, offset=10**6,
    )  # fmt: skip
    case.store.write_erasures([rule])
    successor = case.engine()
    assert successor.process(case.news[:1], epoch=1, whole=False).unfinished
    assert not successor.process(case.news[1:], epoch=1, whole=False).unfinished
    assert case.counts == [2]


def test_what_was_handled_once_is_not_waited_for() -> None:
    """A group that was set back reads again what the tables have: what is to be computed anew is done at once, and changes nothing."""
    case = Case()
    case.sources.recompute(1)
    case.sources.update(1, {"battery_percent": 20})
    case.engine().process(case.news, epoch=1)
    again = case.engine()
    for record in case.news:
        assert not again.process([record], epoch=1, whole=False).unfinished
    assert case.store.live_reports() == case.sources.mart()
