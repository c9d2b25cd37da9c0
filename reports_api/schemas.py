"""The shapes of every answer, once: the structures that are encoded are the ones from which the OpenAPI document is made.

Times are ISO 8601 in UTC. Units are carried in every body (``units``) and defined in ``docs/metrics.md``.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Milliseconds = Annotated[int, Meta(ge=0, description="Milliseconds")]
Count = Annotated[int, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0, le=100, description="Percent, two decimals")]
Ratio = Annotated[float, Meta(ge=0, le=1)]
UserId = Annotated[str, Meta(description="The subject (`sub`) at the identity provider", examples=["0b8f7f0e-5b0e-4b8e-9a4e-0d3c3b5a1f01"])]
ProsthesisId = Annotated[str, Meta(examples=["17"])]
TimeZone = Annotated[str, Meta(description="IANA name of the wearer's time zone", examples=["Europe/Moscow"])]
AsOf = Annotated[
    datetime | None,
    Meta(description="Everything that the source recorded up to this time is in the answer; null where nothing is known yet"),
]
Freshness = Annotated[int | None, Meta(description="Milliseconds between `as_of` and the moment of the answer; null where `as_of` is")]


class Shape(msgspec.Struct, frozen=True, gc=False):
    """Base of all answers: immutable, encoded by msgspec."""


class Units(Shape, frozen=True, gc=False):
    """Units of the numbers in this body."""

    duration: str = "ms"
    amplitude: str = "µV"
    battery: str = "percent"
    location: str = "degrees"
    efficiency: str = "ratio"


UNITS = Units()


class HourUsage(Shape, frozen=True, gc=False):
    """Active time of one hour of the local day."""

    starts_at: datetime
    ms: Milliseconds


class Usage(Shape, frozen=True, gc=False):
    """Active time of the day; `by_hour` has 23, 24 or 25 elements."""

    total_ms: Milliseconds
    by_hour: list[HourUsage]


class Amplitude(Shape, frozen=True, gc=False):
    """Muscle signal amplitude in µV."""

    min: Count
    max: Count
    mean: Annotated[float, Meta(ge=0)]


class Signals(Shape, frozen=True, gc=False):
    """Muscle signals and how many became the intended movement."""

    count: Count
    recognised_count: Count
    efficiency: Annotated[Ratio | None, Meta(description="`recognised_count / count`; null without signals")]
    amplitude_uv: Amplitude | None
    amplitude_histogram: Annotated[list[int], Meta(description="16 buckets: 0; 1; 2–3; 4–7; … ; 8192–16383; ≥ 16384 µV")]


class BatteryHour(Shape, frozen=True, gc=False):
    """The first and the last sample of one hour of the local day."""

    starts_at: datetime
    first_percent: Percent
    last_percent: Percent


class Battery(Shape, frozen=True, gc=False):
    """Battery over the day, in percent."""

    first_percent: Percent
    last_percent: Percent
    min_percent: Percent
    max_percent: Percent
    drain_percent: Annotated[float, Meta(ge=0, description="Total drain; more than 100 where it was charged in between")]
    by_hour: Annotated[
        list[BatteryHour],
        Meta(description="The hours that have a sample, in order; empty where the day was last computed before hours were kept"),
    ]


class Errors(Shape, frozen=True, gc=False):
    """Errors that the prosthesis reported."""

    count: Count
    critical_count: Count
    by_code: dict[str, int]


class Location(Shape, frozen=True, gc=False):
    """The south-west corner of the 0.1° cell of the last known position; never raw coordinates."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    precision_degrees: float = 0.1


class DailyReport(Shape, frozen=True, gc=False):
    """One prosthesis on one local day of its wearer."""

    report_date: date
    prosthesis_id: ProsthesisId
    prosthesis_model: str
    prosthesis_serial_number: str
    customer_name: str
    contract_number: str
    timezone: TimeZone
    day_starts_at: datetime
    day_ends_at: datetime
    complete: Annotated[bool, Meta(description="The day is over and `as_of` has passed its end")]
    as_of: AsOf
    version: Annotated[int, Meta(ge=0, description="Grows with every change; the same version means the same content")]
    usage: Usage
    signals: Signals
    battery: Battery | None
    errors: Errors
    location: Location | None
    event_count: Count
    first_event_at: datetime
    last_event_at: datetime


class Page(Shape, frozen=True, gc=False):
    """Daily reports of a range, newest day first; `next_cursor` is null on the last page."""

    user_id: UserId
    items: list[DailyReport]
    next_cursor: str | None
    as_of: AsOf
    freshness_ms: Freshness
    units: Units = UNITS


class Today(Shape, frozen=True, gc=False):
    """The wearer's local today, one report for each prosthesis that has been active."""

    user_id: UserId
    report_date: date
    timezone: TimeZone
    items: list[DailyReport]
    last_known: Annotated[
        list[DailyReport],
        Meta(description="Where today has no report yet: those of the wearer's latest day that has one, within a year. Otherwise empty"),
    ]
    as_of: AsOf
    freshness_ms: Freshness
    units: Units = UNITS


class HourOfDay(Shape, frozen=True, gc=False):
    """Active time of one hour over all prostheses."""

    starts_at: datetime
    ms: Milliseconds
    by_prosthesis: dict[str, int]


class Hours(Shape, frozen=True, gc=False):
    """The hours of one local day."""

    user_id: UserId
    report_date: date
    timezone: TimeZone | None
    day_starts_at: datetime | None
    day_ends_at: datetime | None
    complete: bool
    total_ms: Milliseconds
    hours: list[HourOfDay]
    as_of: AsOf
    freshness_ms: Freshness
    units: Units = UNITS


class UsageTotals(Shape, frozen=True, gc=False):
    """Active time of a range."""

    total_ms: Milliseconds
    mean_ms_per_day: Annotated[float | None, Meta(description="Over complete days with data; null without any")]


class SignalTotals(Shape, frozen=True, gc=False):
    """Muscle signals of a range."""

    count: Count
    recognised_count: Count
    efficiency: Ratio | None
    amplitude_uv: Amplitude | None


class BatteryTotals(Shape, frozen=True, gc=False):
    """Battery of one prosthesis over a range, in percent; the mean is over its complete days with a battery sample, null without any."""

    min_percent: Percent
    max_percent: Percent
    drain_percent: Annotated[float, Meta(ge=0)]
    mean_drain_percent_per_day: Annotated[float, Meta(ge=0)] | None


class Period(Shape, frozen=True, gc=False):
    """Totals and averages of a range of local days, both ends included."""

    from_: date = msgspec.field(name="from")
    to: date
    days_with_data: Count
    complete_days: Annotated[Count, Meta(description="Days with data that are complete; means a day and changes are over these alone")]
    prosthesis_ids: list[str]
    usage: UsageTotals
    signals: SignalTotals
    battery_by_prosthesis: Annotated[dict[str, BatteryTotals], Meta(description="Each prosthesis with a battery sample; never summed")]
    errors: Errors
    errors_per_day: Annotated[float | None, Meta(description="Over complete days with data; null without any")]
    event_count: Count
    complete: Annotated[bool, Meta(description="Every day with data in the range is complete")]


class Change(Shape, frozen=True, gc=False):
    """The complete days of `current` against those of `previous`: relative changes (0.1 is ten percent more) and differences; null where they cannot be said."""

    usage_per_day_ratio: float | None
    efficiency_difference: float | None
    drain_per_day_ratio_by_prosthesis: Annotated[dict[str, float], Meta(description="Prostheses with a drain in both periods")]
    errors_per_day_difference: float | None


class Summary(Shape, frozen=True, gc=False):
    """A range compared with the range of the same length before it."""

    user_id: UserId
    prosthesis_id: Annotated[str | None, Meta(description="Of this prosthesis alone; null: of all together")]
    current: Period
    previous: Period
    change: Change
    as_of: AsOf
    freshness_ms: Freshness
    units: Units = UNITS


class Heartbeat(Shape, frozen=True, gc=False):
    """Data of a `heartbeat` event of the stream."""

    as_of: AsOf
    freshness_ms: Freshness


class ParameterError(Shape, frozen=True, gc=False):
    """One parameter that is wrong."""

    location: Annotated[str, Meta(description="`query`, `path` or `header`")]
    name: str
    detail: str


class Problem(Shape, frozen=True, gc=False, omit_defaults=True):
    """A problem detail (RFC 9457)."""

    type: Annotated[str, Meta(examples=["urn:bionicpro:problem:not-found"])]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    instance: Annotated[str, Meta(description="The request's id, to be named to support")] = ""
    errors: list[ParameterError] = []


class Health(Shape, frozen=True, gc=False):
    """`status` is `ok` or `unavailable`; `checks` says why."""

    status: str
    checks: dict[str, str]
