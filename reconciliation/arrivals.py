"""Waiting for what a repair has asked for: rows by id, whole days of prostheses, ownership. Each for as long as some of it still comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from reconciliation.day_range import DayRange, micro
from reconciliation.digests import Gap, ProsthesisDay
from reconciliation.directory import differing
from reconciliation.mart import Mart, serving_mart
from reconciliation.oracle import Oracle
from reconciliation.raw import Content, EventKey, event_key, source_id
from reconciliation.settings import ReconciliationSettings

Progress = Callable[[str], None]

_POLL_S = 0.2
_GAPS_POLL_S = 2.0
_TELL_S = 2.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RepairError(RuntimeError):
    """A repair could not be finished; the message says what is still missing. Repeating it is safe."""


def in_source(settings: ReconciliationSettings, oracle: Oracle, keys: Iterable[EventKey]) -> dict[EventKey, Content]:
    """What PostgreSQL has of *keys* now."""
    ids = [source_id(key, oracle.mapping.telemetry.event_id.type) for key in keys]
    with psycopg.connect(**settings.telemetry_db.conninfo()) as telemetry:  # type: ignore[arg-type]  # keyword arguments of mixed types
        return {event_key(row[0], row[1]): tuple(row[2:]) for row in oracle.events_by_id(telemetry, ids)}


@dataclass(frozen=True)
class Arrival:
    """Waits for rows that were asked for again, for as long as some of them still come."""

    settings: ReconciliationSettings
    oracle: Oracle
    progress: Progress
    generation: int | None

    def wait(self, wanted: Mapping[EventKey, Content]) -> list[str]:
        """Return when raw has *wanted*, but for what PostgreSQL has otherwise by now: such a change comes by itself.

        What is still missing when nothing comes any more is returned, in words. Raises RepairError where nothing came at all.
        """
        patience = self.settings.reconciliation.repair_timeout_s
        left, deadline, told = dict(wanted), time.monotonic() + patience, time.monotonic()
        with serving_mart(self.settings.clickhouse, self.generation) as mart:
            while left := self._not_there(mart, before := left):
                if len(left) < len(before):
                    deadline = time.monotonic() + patience
                if time.monotonic() > deadline:
                    missing = (
                        f"{len(left)} of {len(wanted)} rows that were asked for again did not arrive as PostgreSQL has them,"
                        f" e.g. {next(iter(left))}: is the connector running? (`bionicpro status`)"
                    )
                    if len(left) == len(wanted) > 1:
                        raise RepairError(f"{missing}; then repair again")
                    return [missing]
                if time.monotonic() - told > _TELL_S:
                    told = time.monotonic()
                    self.progress(f"{len(wanted) - len(left)} of {len(wanted)} rows have arrived")
                    now = in_source(self.settings, self.oracle, left)
                    left = {key: content for key, content in left.items() if now.get(key) == content}
                time.sleep(_POLL_S)
        return []

    @staticmethod
    def _not_there(mart: Mart, wanted: Mapping[EventKey, Content]) -> dict[EventKey, Content]:
        there = mart.raw_contents(list(wanted))
        return {key: content for key, content in wanted.items() if there.get(key) != content}


def await_ownership(
    settings: ReconciliationSettings, oracle: Oracle, prostheses: Sequence[str], generation: int | None, at_most_s: float = math.inf
) -> list[str]:
    """Wait for the ownership of *prostheses* to be what the CRM says. Returns what is not when the time is over, in words."""
    if not prostheses:
        return []
    deadline = time.monotonic() + min(settings.reconciliation.repair_timeout_s, at_most_s)
    with serving_mart(settings.clickhouse, generation) as mart:
        while True:
            with psycopg.connect(**settings.crm_db.conninfo()) as crm:  # type: ignore[arg-type]  # keyword arguments of mixed types
                intervals = oracle.intervals(crm, prostheses)
            left = differing(prostheses, mart.documents(prostheses), intervals)
            if not left:
                return []
            if time.monotonic() > deadline:
                return [
                    f"the ownership of {len(left)} of {len(prostheses)} prostheses did not become what the CRM says, e.g. of {min(left)}:"
                    " are the connector and the processor running? (`bionicpro status`; `bionicpro dlq list` says why one has no document)"
                ]
            time.sleep(_POLL_S)


@dataclass(frozen=True)
class GapArrival:
    """Waits for days of prostheses that were asked for again as a whole."""

    settings: ReconciliationSettings
    oracle: Oracle
    progress: Progress
    generation: int | None

    def wait(self, gaps: Mapping[ProsthesisDay, Gap]) -> list[str]:
        """Return when raw has as many events of each of *gaps* as PostgreSQL. What is still missing when nothing comes any more is returned, in words."""
        if not gaps:
            return []
        days = DayRange(*((_EPOCH + timedelta(days=day)).date() for day in (min(d for _, d in gaps), max(d for _, d in gaps))))
        patience = self.settings.reconciliation.repair_timeout_s
        most, deadline, wanted = -1, time.monotonic() + patience, sum(gap.missing for gap in gaps.values())
        with serving_mart(self.settings.clickhouse, self.generation) as mart:
            while lacking := self._lacking(mart, days, gaps):
                missing = sum(lacking.values())
                if wanted - missing > most:
                    most, deadline = wanted - missing, time.monotonic() + patience
                    self.progress(f"{max(0, most)} of {wanted} events of gaps have arrived")
                if time.monotonic() > deadline:
                    prosthesis, day = min(lacking)
                    return [
                        f"{missing} of {wanted} events of gaps did not arrive, e.g. of prosthesis {prosthesis} on"
                        f" {(_EPOCH + timedelta(days=day)).date()}: is the connector running? (`bionicpro status`)"
                    ]
                time.sleep(_GAPS_POLL_S)
        return []

    def _lacking(self, mart: Mart, days: DayRange, gaps: Mapping[ProsthesisDay, Gap]) -> dict[ProsthesisDay, int]:
        """How many events raw lacks of each of *gaps*, as PostgreSQL is now."""
        first, end = days.utc()
        with psycopg.connect(**self.settings.telemetry_db.conninfo()) as telemetry:  # type: ignore[arg-type]  # keyword arguments of mixed types
            source = dict(self.oracle.digests(telemetry, first, end))
        raw = dict(mart.raw_digests(micro(first), micro(end), self.oracle.mapping.telemetry.event_id.type))
        counts = {key: source[key].events - (raw[key].events if key in raw else 0) for key in gaps if key in source}
        return {key: count for key, count in counts.items() if count > 0}
