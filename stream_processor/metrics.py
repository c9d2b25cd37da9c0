"""Counters and times of the processor, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from stream_processor.outcome import Outcome

RECORDS = Counter("bionicpro_processor_records_total", "Records of prosthesis.log handled")
FOLDED = Counter("bionicpro_processor_folded_total", "Events folded into a report")
DUPLICATES = Counter("bionicpro_processor_duplicates_total", "Events found to be duplicates")
LOOKUPS = Counter("bionicpro_processor_lookups_total", "Events looked up in raw; none in normal running")
UNOWNED = Counter("bionicpro_processor_unowned_total", "Events that nobody owned when they came")
ERASED = Counter("bionicpro_processor_erased_total", "Events that came and were not written, because an erasure rule covers them")
PURGED = Counter("bionicpro_processor_purged_total", "Deletes of a retention job at the source, which are no corrections")
CLOSED_DAYS = Counter(
    "bionicpro_processor_closed_days_total", "Days that a recompute left as they are, because their raw rows may have expired"
)
RECOMPUTED = Counter("bionicpro_processor_recomputed_reports_total", "Reports computed anew from raw")
REPORTS = Counter("bionicpro_processor_reports_total", "Reports written")
DEAD_LETTERS = Counter("bionicpro_processor_dead_letters_total", "Records sent to the dead-letter topic", ["reason"])
BATCH_SECONDS = Histogram(
    "bionicpro_processor_batch_seconds", "Time of one batch", buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
)


def observe(outcome: Outcome, seconds: float) -> None:
    """Count what one batch did."""
    RECORDS.inc(outcome.records)
    FOLDED.inc(outcome.folded)
    DUPLICATES.inc(outcome.duplicates)
    LOOKUPS.inc(outcome.lookups)
    UNOWNED.inc(outcome.unowned)
    ERASED.inc(outcome.erased)
    PURGED.inc(outcome.purged)
    CLOSED_DAYS.inc(outcome.closed_days)
    RECOMPUTED.inc(outcome.recomputed)
    REPORTS.inc(outcome.reports)
    BATCH_SECONDS.observe(seconds)
