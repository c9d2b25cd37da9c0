"""When a worker has to begin anew because its group looks after the log no more."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException

from eraser.settings import EraserSection
from stream_processor.adapters.membership import Membership, Watch
from stream_processor.settings import ProcessorSection

ME = "worker-1"
WELL = Membership(True, frozenset({ME, "worker-2"}), 24)
SHARING = Membership(False, frozenset(), 0)
OWNERLESS = Membership(True, frozenset({ME}), 20)
WITHOUT_ME = Membership(True, frozenset({"worker-2"}), 24)


def said(*seen: Membership | Exception) -> list[str | None]:
    looks = iter(seen)

    def look() -> Membership:
        now = next(looks)
        if isinstance(now, Exception):
            raise now
        return now

    watch = Watch(look, partitions=24)
    found: list[str | None] = []
    for now in seen:
        if isinstance(now, Exception):
            with pytest.raises(KafkaException):
                watch.complaint(ME)
        else:
            found.append(watch.complaint(ME))
    return found


def test_a_group_that_owns_every_partition_is_no_reason() -> None:
    assert said(WELL, WELL, WELL) == [None] * 3


def test_partitions_that_nobody_owns_are_a_reason_at_the_second_look() -> None:
    assert said(OWNERLESS, OWNERLESS) == [None, "nobody in the group owns 4 of 24 partitions"]


def test_a_worker_that_its_group_does_not_know_has_time_to_join_again() -> None:
    assert said(WITHOUT_ME, WITHOUT_ME, WITHOUT_ME, WELL, WITHOUT_ME) == [None] * 5


def test_a_worker_that_does_not_join_again_is_a_reason_that_names_the_setting() -> None:
    reason = said(WITHOUT_ME, WITHOUT_ME, WITHOUT_ME, WITHOUT_ME)[-1]
    assert "the group does not know this worker" in (reason or "")
    assert "SESSION_TIMEOUT_S" in (reason or "")


@pytest.mark.parametrize("between", [WELL, SHARING])
def test_what_was_well_or_on_its_way_in_between_starts_the_count_anew(between: Membership) -> None:
    assert said(OWNERLESS, between, OWNERLESS) == [None] * 3


def test_a_broker_that_does_not_answer_counts_for_nothing() -> None:
    assert said(OWNERLESS, KafkaException("away"), OWNERLESS)[-1] is not None


@pytest.mark.parametrize("session_s", [6.0, 30.0, 300.0])
def test_a_session_outlasts_two_lost_heartbeats(session_s: float) -> None:
    assert ProcessorSection(session_timeout_s=session_s).heartbeat_s <= min(3.0, session_s / 3)


def test_the_eraser_looks_again_once_a_worker_that_was_lost_can_write_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIONICPRO_PROCESSOR__SESSION_TIMEOUT_S", raising=False)
    processor = ProcessorSection()
    assert EraserSection().settle_s > processor.session_timeout_s + processor.store_deadline_s
