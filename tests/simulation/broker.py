"""A log that behaves as Kafka does where it matters: offsets with gaps, transactions, aborted records that nobody sees, retention, compaction. Groups are in ``group.py``."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """A record at its place."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    at_ms: int = 0


@dataclass(slots=True)
class Transaction:
    """Records that are seen together, or not at all. A partition is read up to its first open transaction."""

    first: dict[tuple[str, int], int] = field(default_factory=dict)
    mine: list[tuple[str, Stored]] = field(default_factory=list)


class Partition:
    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self.records: list[Stored] = []
        self.open: set[int] = set()
        self.last_expired = -1

    def stable(self) -> int:
        """The last stable offset: where readers stop."""
        return min(self.open, default=self.end)

    def read(self, position: int, limit: int) -> list[Stored]:
        at, stable = bisect_left(self.records, position, key=lambda record: record.offset), self.stable()
        return [record for record in self.records[at : at + limit] if record.offset < stable]

    def skip(self, position: int) -> int:
        """Where to go on reading when there is nothing at *position*: markers and what was aborted are passed over."""
        return max(position, self.stable())

    def expire(self, before: int) -> list[Stored]:
        """Returns what went."""
        self.start = max(self.start, min(before, self.end))
        gone = [record for record in self.records if record.offset < self.start]
        self.records = [record for record in self.records if record.offset >= self.start]
        self.last_expired = max(self.last_expired, *(record.offset for record in gone[-1:]), -1)
        return gone

    def compact(self) -> list[Stored]:
        """Of each key the last record stays. Returns what went."""
        last = {record.key: record.offset for record in self.records}
        gone = [record for record in self.records if record.key is not None and last[record.key] != record.offset]
        self.records = [record for record in self.records if record.key is None or last[record.key] == record.offset]
        return gone


class Broker:
    """Topics by name; *ids* tell one made anew from the former."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Partition]] = {}
        self.ids: dict[str, str] = {}
        self.made = 0
        self.on_news: Callable[[], None] = lambda: None
        """Called when there may be something new to read."""
        self.clock_ms: Callable[[], int] = lambda: 0

    def make(self, topic: str, partitions: int) -> None:
        self.topics[topic] = [Partition() for _ in range(partitions)]
        self.made += 1
        self.ids[topic] = f"{topic}-{self.made}"

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> int:
        offset = self._append(topic, partition, key, value, headers)
        self.on_news()
        return offset

    def _append(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> int:
        place = self.topics[topic][partition]
        place.records.append(Stored(partition, place.end, key, value, tuple(headers), self.clock_ms()))
        place.end += 1
        return place.end - 1

    def append_in(
        self, transaction: Transaction, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> None:
        place = self.topics[topic][partition]
        if (topic, partition) not in transaction.first:
            transaction.first[topic, partition] = place.end
            place.open.add(place.end)
        offset = self._append(topic, partition, key, value, headers)
        transaction.mine.append((topic, self.topics[topic][partition].records[-1]))
        assert offset == transaction.mine[-1][1].offset

    def finish(self, transaction: Transaction, *, commit: bool) -> None:
        """The marker takes an offset; what is aborted is seen by nobody."""
        if not commit:
            gone = {(topic, record.partition, record.offset) for topic, record in transaction.mine}
            for topic, number in transaction.first:
                place = self.topics[topic][number]
                place.records = [record for record in place.records if (topic, number, record.offset) not in gone]
        for (topic, number), first in transaction.first.items():
            place = self.topics[topic][number]
            place.open.discard(first)
            place.end += 1
        self.on_news()

    def values(self, topic: str) -> list[Stored]:
        """All visible records, partition by partition."""
        return [record for place in self.topics[topic] for record in place.records if record.offset < place.stable()]
