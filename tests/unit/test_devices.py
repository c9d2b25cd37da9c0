"""Which prosthesis a record belongs to, and what is refused."""

from __future__ import annotations

import numpy as np

from schemas.keys import partition_of
from stream_processor.domain.devices import Devices

PARTITIONS = 24


def placed(*records: tuple[bytes, int]) -> tuple[list[int], list[int]]:
    """Indices of the prostheses of (key, id in the row), each record in its key's partition; and the positions that were refused."""
    partitions = np.array([partition_of(key, PARTITIONS) for key, _ in records], dtype=np.int64)
    indices, misplaced = Devices(PARTITIONS).indices([key for key, _ in records], [number for _, number in records], partitions)
    return indices.tolist(), [position for position, _ in misplaced]


def test_records_of_new_prostheses_get_one_index_each() -> None:
    assert placed((b"7", 7), (b"8", 8), (b"7", 7)) == ([0, 1, 0], [])


def test_a_prosthesis_whose_first_record_is_refused_is_known_by_the_next() -> None:
    assert placed((b"7", 8), (b"7", 7), (b"7", 7)) == ([-1, 0, 0], [0])


def test_nobody_is_known_by_refused_records_alone() -> None:
    assert placed((b"7", 8), (b"x", 7)) == ([-1, -1], [0, 1])


def test_a_record_in_another_partition_than_its_keys_is_refused_known_or_not() -> None:
    right = partition_of(b"7", PARTITIONS)
    devices = Devices(PARTITIONS)
    for _ in range(2):
        indices, misplaced = devices.indices([b"7", b"7"], [7, 7], np.array([right + 1, right], dtype=np.int64))
        assert (indices.tolist(), [position for position, _ in misplaced]) == ([-1, 0], [0])
