"""Positions that do not fit their topic, or their tables: what a worker is told of them before it reads anything."""

from __future__ import annotations

from collections.abc import Mapping
from unittest.mock import patch

import pytest

from schemas.generations import begins_of
from schemas.partition_progress import PartitionProgress
from service_kit.settings import KafkaSettings
from stream_processor.adapters.topics import TopicIdentity, WrongTopic, check_positions

LOG = TopicIdentity("log", "id", 2)
ENDS = [100, 100]


def check(
    commits: Mapping[int, int], handled: Mapping[int, int], *, starts: list[int] | None = None, begins: Mapping[int, int] | None = None
) -> dict[int, int]:
    progress = [PartitionProgress("log", partition, "id", 2, offset, 0) for partition, offset in handled.items()]
    with (
        patch("stream_processor.adapters.topics.committed", lambda *_: dict(commits)),
        patch("stream_processor.adapters.topics._bounds", lambda *_: (starts or [0, 0], ENDS)),
    ):
        return check_positions(KafkaSettings(), "group", LOG, lambda: progress, progress_first=True, begins=begins or {})


def test_what_the_tables_have_is_told() -> None:
    assert check({0: 5, 1: 3}, {0: 4, 1: 7}) == {0: 4, 1: 7}


@pytest.mark.parametrize(
    ("commits", "handled", "starts", "message"),
    [
        ({0: 5}, {0: 3}, None, "committed 5, but these tables hold the log up to 3.*replay --from"),
        ({0: 5}, {0: 9}, [6, 0], "committed 5, but the log begins at 6"),
        ({}, {0: 9}, [11, 0], "nothing is committed, these tables hold the log up to 9, but it begins at 11"),
    ],
)
def test_what_would_skip_records_is_refused(
    commits: dict[int, int], handled: dict[int, int], starts: list[int] | None, message: str
) -> None:
    with pytest.raises(WrongTopic, match=message):
        check(commits, handled, starts=starts)


@pytest.mark.parametrize("commits", [{0: 49, 1: 60}, {1: 60}], ids=["set back too far", "reset to the earliest"])
def test_a_group_that_was_set_back_to_before_its_tables_begin_is_refused(commits: dict[int, int]) -> None:
    """What lies before a rebuild is of what it was built from: the source's other timeline, or documents by offsets of a CRM's topic that is no more."""
    with pytest.raises(WrongTopic, match=r"log/0: (49|nothing) is committed, but these tables begin at 50.*bionicpro replay"):
        check(commits, {0: 70, 1: 70}, begins={0: 50, 1: 60})


@pytest.mark.parametrize("commits", [{0: 50, 1: 60}, {0: 70, 1: 70}])
def test_to_where_they_begin_it_may_be_set(commits: dict[int, int]) -> None:
    check(commits, {0: 70, 1: 70}, begins={0: 50, 1: 60})
    check({}, {0: 70, 1: 70}, starts=[50, 60], begins={0: 50, 1: 60})


def test_where_tables_begin_is_in_what_their_builder_noted() -> None:
    assert begins_of('{"old":1,"source":"postgres","begins":{"0":50,"1":60},"step":"done","cursor":""}') == {0: 50, 1: 60}
    assert begins_of("") == {}
