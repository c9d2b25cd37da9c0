"""The engine: one batch of log records in, idempotent writes out, in four steps that each have a module.

``decode`` (``domain/decode.py``) → ``gather``, the only reads of the store → ``make_plan``, pure → ``apply``, the effects. What is remembered between batches is the
assignment's (``assignment.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from schemas.commands import Command, Recompute
from schemas.generations import FIRST_GENERATION
from schemas.mapping import SourceMapping
from stream_processor.apply import Log, apply
from stream_processor.assignment import Assignment
from stream_processor.batch import place
from stream_processor.domain.decode import LogDecoder
from stream_processor.domain.log_records import Decoded, Record
from stream_processor.domain.retention import ignore_purged, refuse_closed
from stream_processor.gather import gather
from stream_processor.outcome import Outcome
from stream_processor.plan import make_plan
from stream_processor.ports import ReportStore, StoreUnusable


def every_day() -> int | None:
    """No day is closed."""
    return None


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """*topic_id* and *partitions* identify the log; *cached_states* bounds memory (about 2 KiB each); *generation* is the one that the store is.

    *first_open_day*: days of reports before it (since 1970-01-01) are closed, asked once a batch; *source_days*: deletes of older events are no corrections.
    """

    topic: str
    topic_id: str
    partitions: int
    cached_states: int = 20_000
    integer_event_ids: bool = True
    recompute_events: int = 200_000
    generation: int = FIRST_GENERATION
    first_open_day: Callable[[], int | None] = every_day
    source_days: int | None = None


class Engine:
    """Not safe for concurrent calls."""

    def __init__(self, store: ReportStore, mapping: SourceMapping, settings: EngineSettings) -> None:
        self._store = store
        self._settings = settings
        self._log = Log(settings.topic, settings.topic_id, settings.partitions)
        self._decoder = LogDecoder(mapping)
        self._assignment: Assignment | None = None
        self._stored: dict[int, int] = {}  # the highest offset of each partition that this engine has stored as handled
        self._expected: Mapping[int, int] = {}

    def expect(self, handled: Mapping[int, int]) -> None:
        """By partition the offset up to which the tables had it when the positions of an assignment were looked at, whoever stored it. May be called from any thread."""
        self._expected = handled

    @property
    def unfinished(self) -> frozenset[int]:
        """Partitions with a recompute that was begun and goes on in later calls. After a failure there are none: their records have to be processed again."""
        return frozenset() if self._assignment is None else self._assignment.unfinished_partitions

    def reload_erasures(self) -> None:
        """Take in erasure rules whose commands this worker has not reached. What is cached may hold what they cover, and is forgotten. Raises what the store raises."""
        if self._assignment is not None:
            with self._assigned(self._assignment.epoch) as assignment:
                changed = assignment.erasures.reload()
            if changed:
                self._assignment = None

    def process(self, records: Sequence[Record], epoch: int, *, whole: bool = True) -> Outcome:
        """Handle *records* (offset order within each partition). *epoch*: the consumer group's generation that they were fetched in.

        Not *whole*: of a large recompute only a part, so that it holds up nobody else; ``Outcome.unfinished`` names its partition, whose records must not be acknowledged
        yet, these and later ones, and ``process`` is to be called again, without records if there are none. Until then the partition's progress stands still.

        Raises StoreUnavailable where the store fails. After any error everything remembered is gone: process the same records again, any number of times, and with them those
        of partitions that were unfinished.
        """
        with self._assigned(epoch) as assignment:
            decoded = self._decoder.decode(records)
            return self._carry_out(decoded, Outcome(dead=decoded.dead, records=len(records)), assignment, whole=whole)

    def leave_out(self, record: Record, epoch: int, *, up_to: int | None) -> Outcome:
        """Go on past a record that cannot be processed, which the caller has made a dead letter. Idempotent; raises as ``process`` does.

        Attempts may have written its event to raw and folded it, and an update's former content is no longer what the source has: neither counts, in
        reports up to the offset *up_to*, which the attempts reached and up to which all other records have been processed. None: leave both.
        """
        with self._assigned(epoch) as assignment:
            return self._carry_out(self._decoder.left_out(record, up_to=up_to), Outcome(records=1), assignment, whole=True)

    @contextmanager
    def _assigned(self, epoch: int) -> Iterator[Assignment]:
        """The assignment of *epoch*, a new one where there is none. It ends with any failure: what it remembers may not be what the store has."""
        if self._assignment is None or self._assignment.epoch != epoch:
            of = self._settings
            self._assignment = Assignment(
                epoch, self._store, partitions=of.partitions, cached_states=of.cached_states, integer_ids=of.integer_event_ids
            )
        try:
            yield self._assignment
        except BaseException:
            self._assignment = None
            raise

    def _carry_out(self, decoded: Decoded, outcome: Outcome, assignment: Assignment, *, whole: bool) -> Outcome:
        settings = self._settings
        first_open_day = settings.first_open_day()
        if first_open_day is not None:
            refuse_closed(decoded, first_open_day)
        if settings.source_days is not None:
            outcome.purged = ignore_purged(decoded, settings.source_days)
        batch = place(decoded, assignment.devices, assignment.unfinished, outcome, self._is_for_us)
        begins = assignment.as_of is None
        gathered = gather(batch, assignment, settings.topic, settings.topic_id)
        if begins:
            self._refuse_older_tables(assignment)
        plan = make_plan(batch, gathered)
        outcome = apply(plan, assignment, self._log, first_open_day=first_open_day, budget=None if whole else settings.recompute_events)
        self._stored |= {partition: max(offset, self._stored.get(partition, -1)) for partition, offset in outcome.stored.items()}
        assignment.states.evict()
        return outcome

    def _refuse_older_tables(self, assignment: Assignment) -> None:
        """Raises StoreUnusable where the tables know less than this engine has stored, or than was found there when it was assigned what it reads: a backup was put back under it, and what lies between would be missing for good.

        Whoever is started again then finds the commits ahead of the tables, and stays down (`adapters/topics.py`).
        """
        for partition, offset in (*self._stored.items(), *self._expected.items()):
            if (handled := assignment.handled.get(partition, -1)) < offset:
                raise StoreUnusable(f"the tables went back: they hold partition {partition} up to {handled}, and held it up to {offset}")

    def _is_for_us(self, command: Command) -> bool:
        """A recompute may be meant for one generation: the one being built, while another serves."""
        return not isinstance(command, Recompute) or command.generation in {None, self._settings.generation}
