"""What processing a batch came to: counts for metrics, and what the caller has still to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from stream_processor.domain.log_records import DeadLetter


@dataclass(slots=True)
class Outcome:
    """What a batch did, for metrics, and the dead letters the caller must deliver before it acknowledges."""

    dead: list[DeadLetter] = field(default_factory=list)
    records: int = 0
    folded: int = 0
    duplicates: int = 0
    lookups: int = 0
    unowned: int = 0
    erased: int = 0
    purged: int = 0
    closed_days: int = 0
    recomputed: int = 0
    reports: int = 0
    unfinished: frozenset[int] = frozenset()  # partitions with a recompute that goes on in later calls
    stored: Mapping[int, int] = field(default_factory=dict)  # by partition, the offset up to which it is handled, as the store has it now

    def add(self, part: Outcome) -> None:
        """Count what *part* of the same batch did too; it left nothing unfinished."""
        self.dead.extend(part.dead)
        for name in (f.name for f in fields(Outcome) if f.type == "int"):
            setattr(self, name, getattr(self, name) + getattr(part, name))
