"""Since when what is empty has stood where it is. Pure but for what it remembers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from eraser.ports import Empty, EmptyRow

Place = tuple[str, str, str, EmptyRow]
"""Database, table, user, and the row."""


@dataclass
class Standing:
    """A tombstone hides what a writer that should be dead brings below it, and such a writer lives for *settle_s* at most. So it may go once it has stood for so long.

    No table tells when a row was written. What counts is when this process saw it first; a new process waits anew. Rows that are gone, or have a newer version, are forgotten.
    """

    settle_s: float
    _since: dict[tuple[str, str], dict[Place, datetime]] = field(default_factory=dict)

    def look(self, rule: tuple[str, str], found: Iterable[tuple[str, Empty]], now: datetime) -> tuple[list[tuple[str, Empty]], bool]:
        """Of all that is *found* for the rule of that key, by database: what may go, and whether anything has to stay for a while.

        Raises what *found* raises, and has forgotten nothing then.
        """
        known, seen = self._since.get(rule, {}), dict[Place, datetime]()
        ripe: list[tuple[str, Empty]] = []
        for database, empty in found:
            rows = []
            for row in empty.keys:
                place = (database, empty.table, empty.user_id, row)
                seen[place] = known.get(place, now)
                if now - seen[place] >= timedelta(seconds=self.settle_s):
                    rows.append(row)
            if rows:
                ripe.append((database, replace(empty, keys=tuple(rows))))
        self._since[rule] = seen
        if not seen:
            del self._since[rule]
        return ripe, sum(len(empty.keys) for _, empty in ripe) < len(seen)
