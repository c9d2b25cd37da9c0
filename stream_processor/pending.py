"""What has to be computed anew of a prosthesis, and up to where. Pure: ``recompute.py`` carries it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from schemas import commands
from stream_processor.domain.calendar import day_number
from stream_processor.domain.log_records import Change, Retraction
from stream_processor.domain.ownership import OwnershipHistory
from stream_processor.domain.window_fold import WindowFold

ANY_OFFSET = 1 << 62
MOST_RESTARTS = 3
"""So often is a fold that was left between two parts begun again, before its window is folded at once."""


@dataclass(slots=True)
class PendingRecompute:
    """What has to be computed anew of one prosthesis: *days* are local day numbers, *instants* lie in days still to be found.

    *fold*: of the window that was left between two parts of raw, which may be several prostheses'; it holds as long as only news come, and ``disturb`` throws it away. *restarts*: how often that was.
    *former*: who owned what for a part of the records, up to a document that took its place. *deletes*: halves of event ids, the offset up to which what raw has of the event is meant, and the LSN that the delete bears (None: just above what raw has).
    """

    offset: int
    days: set[int] = field(default_factory=set)
    instants: list[int] = field(default_factory=list)
    everything: bool = False
    deletes: list[tuple[int, int, int, int | None]] = field(default_factory=list)
    sizes: Mapping[int, int] | None = None  # events by UTC day, once asked for
    reports: set[tuple[str, int]] = field(default_factory=set)  # (user, day) that the mart may have without a state
    former: list[OwnershipHistory] = field(default_factory=list, compare=False, repr=False)
    refused: int = 0  # days that were left as they are, because raw of them may have expired
    fold: WindowFold | None = field(default=None, compare=False, repr=False)
    restarts: int = 0

    @property
    def may_be_left(self) -> bool:
        """Whether its windows may be left between two parts: one that is disturbed again and again would never come to an end."""
        return self.restarts < MOST_RESTARTS

    def copy(self) -> PendingRecompute:
        """An equal work that can be added to without changing this one."""
        return replace(
            self,
            days=set(self.days),
            instants=list(self.instants),
            deletes=list(self.deletes),
            reports=set(self.reports),
            former=list(self.former),
        )

    def reach(self, offset: int) -> None:
        self.offset = max(self.offset, offset)

    def add_day(self, day: int) -> None:
        self.days.add(day)

    def add_report(self, user_id: str, day: int) -> None:
        """It may be in the mart, whether or not raw has anything of it at the end.

        A worker that has lost the partition and does not know it may have come to a part of the records only, and its write may arrive after this work's. What it could have written
        is written here too, empty if need be, under a version that its own stays below.
        """
        self.days.add(day)
        self.reports.add((user_id, day))

    def disturb(self) -> None:
        """What was folded of raw is not what raw has any more, or not whose it is."""
        if self.fold is not None:
            self.fold = None
            self.restarts += 1

    def add_all(self) -> None:
        self.disturb()
        self.everything, self.sizes = True, None  # asked for again: an earlier part may have been computed under another document

    def size(self, days: range) -> int:
        """About how many events lie in local *days*; 0 where it was not asked."""
        sizes = self.sizes or {}
        return sum(sizes.get(day, 0) for day in days if day in self.days)

    def add_change(self, change: Change) -> None:
        for content in (change.removed, change.added):
            self.replace(content.recorded_us.tolist() if content is not None else ())

    def replace(self, instants: Iterable[int]) -> None:
        """What raw has of an event is replaced; it was, or will be, at *instants*."""
        self.disturb()
        self.instants.extend(instants)

    def delete(self, high: int, low: int, up_to: int, lsn: int | None) -> None:
        self.disturb()
        self.deletes.append((high, low, up_to, lsn))

    def add_retraction(self, retraction: Retraction) -> None:
        self.instants.extend(retraction.instants)
        self.delete(*retraction.event_id, retraction.record.offset, retraction.lsn)

    def add_command(self, command: commands.Command) -> None:
        """A recompute without one of its bounds is one of everything: more is never wrong."""
        if isinstance(command, commands.Delete):
            for halves in command.event_ids:
                self.delete(*halves, ANY_OFFSET, None)
        elif isinstance(command, commands.Erase):
            self.add_all()
        else:
            self._add_recompute(command)

    def _add_recompute(self, command: commands.Recompute) -> None:
        self.disturb()  # whatever it is to mend may have been read already
        self.reports.update((user_id, day_number(day)) for user_id, day in command.reports)
        self.days.update(day for _, day in self.reports)
        if command.from_date is None or command.to_date is None:
            self.add_all()
        else:
            self.days.update(range(day_number(command.from_date), day_number(command.to_date) + 1))
