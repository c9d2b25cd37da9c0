"""When a worker has to begin anew because its group looks after the log no more."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException

from stream_processor.adapters.membership import Membership, Watch

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


def test_a_worker_that_its_group_does_not_know_is_a_reason_at_the_second_look() -> None:
    assert said(WITHOUT_ME, WITHOUT_ME) == [None, "the group does not know this worker"]


@pytest.mark.parametrize("between", [WELL, SHARING])
def test_what_was_well_or_on_its_way_in_between_starts_the_count_anew(between: Membership) -> None:
    assert said(OWNERLESS, between, OWNERLESS) == [None] * 3


def test_a_broker_that_does_not_answer_counts_for_nothing() -> None:
    assert said(OWNERLESS, KafkaException("away"), OWNERLESS)[-1] is not None
