"""Telemetry that comes too late to change anything, and deletes that are no corrections. Pure.

A report's day is closed once its raw rows may have expired: it could not be computed anew. What would change it is refused, and said so.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream_processor.domain.calendar import HOUR_US
from stream_processor.domain.log_records import Change, DeadLetter, Decoded

DAY_US = 24 * HOUR_US
# An event after this much of a UTC day is in that local day or a later one, in any time zone.
ZONE_SPAN_US = 15 * HOUR_US
REASON = "expired-day"


def refuse_closed(decoded: Decoded, first_open_day: int) -> None:
    """Take what was recorded in closed days out of *decoded*; a dead letter for each but rows of a snapshot, which are no news.

    *first_open_day*: days since 1970-01-01.
    """
    since_us = first_open_day * DAY_US + ZONE_SPAN_US
    inserts = decoded.inserts
    closed = inserts.columns.recorded_us < since_us
    if closed.any():
        for i in np.flatnonzero(closed & inserts.live).tolist():
            decoded.dead.append(DeadLetter(inserts.records[i], REASON, _why(first_open_day)))
        inserts.keep(~closed)
    if decoded.changes:
        decoded.changes[:] = [
            kept for change in decoded.changes if (kept := _open_part(change, since_us, first_open_day, decoded)) is not None
        ]


def _open_part(change: Change, since_us: int, first_open_day: int, decoded: Decoded) -> Change | None:
    removed = change.removed is not None and int(change.removed.recorded_us[0]) < since_us
    added = change.added is not None and int(change.added.recorded_us[0]) < since_us
    if not removed and not added:
        return change
    decoded.dead.append(DeadLetter(change.record, REASON, _why(first_open_day)))
    left = replace(change, removed=None if removed else change.removed, added=None if added else change.added)
    return None if left.removed is None and left.added is None else left


def _why(first_open_day: int) -> str:
    return f"recorded before day {np.datetime64(first_open_day, 'D')} began: raw telemetry of it may have expired, its reports are closed"


def ignore_purged(decoded: Decoded, source_days: int) -> int:
    """Drop deletes of events that were older than *source_days* when they were deleted: a retention job's, no correction. Returns how many."""
    before = len(decoded.changes)
    decoded.changes[:] = [change for change in decoded.changes if not _is_purge(change, source_days)]
    return before - len(decoded.changes)


def _is_purge(change: Change, source_days: int) -> bool:
    """By the database's own times, so that a replay says the same."""
    if change.added is not None or change.removed is None:
        return False
    return change.ts_ms * 1000 - int(change.removed.recorded_us[0]) >= source_days * DAY_US
