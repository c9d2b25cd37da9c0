"""The shapes of what is answered beside reports, as those of ``schemas.py``: the typical day, times and texts of errors, prostheses, support's search."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from reports_api.schemas import UNITS, AsOf, Count, Freshness, Milliseconds, ProsthesisId, Shape, TimeZone, Units, UserId


class Quartiles(Shape, frozen=True, gc=False):
    """A quarter of the days had at most `q1`, half at most `median`, three quarters at most `q3`; each is the value of one of the days."""

    q1: Milliseconds
    median: Milliseconds
    q3: Milliseconds


class TypicalHour(Shape, frozen=True, gc=False):
    """One hour of the typical day, from 0: active time in it, and from the day's start to its end."""

    hour: Annotated[int, Meta(ge=0, le=23)]
    ms: Quartiles
    until_ms: Quartiles


class TypicalDay(Shape, frozen=True, gc=False):
    """Active time by hour on a usual day of the range, over the complete days of 24 hours that have data; without any, no hours."""

    user_id: UserId
    from_: date = msgspec.field(name="from")
    to: date
    prosthesis_id: Annotated[str | None, Meta(description="Of this prosthesis alone; null: of all together")]
    days: Annotated[Count, Meta(description="How many days it is of")]
    hours: list[TypicalHour]
    as_of: AsOf
    freshness_ms: Freshness
    units: Units = UNITS


class ErrorOccurrence(Shape, frozen=True, gc=False):
    """One error that a prosthesis reported."""

    occurred_at: datetime
    prosthesis_id: ProsthesisId
    code: str
    severity: Literal["info", "warning", "critical"]


class ErrorTimes(Shape, frozen=True, gc=False):
    """When the errors of one local day occurred, newest first, at most 500."""

    user_id: UserId
    report_date: date
    timezone: TimeZone | None
    count: Annotated[
        Count,
        Meta(
            description="All errors of the day's reports. More than are listed where there were more than 500, or where their times are kept no longer"
        ),
    ]
    critical_count: Count
    by_code: dict[str, int]
    occurrences: list[ErrorOccurrence]
    as_of: AsOf
    freshness_ms: Freshness


class ErrorText(Shape, frozen=True, gc=False):
    """An error code in words: a few that stand in its place, what has happened, what the wearer can do, when to call support."""

    title: str
    meaning: str
    action: str
    call: str


class Contact(Shape, frozen=True, gc=False):
    """Whom to call or write to, in one language; there is a telephone number, an address, or both."""

    who: str
    phone: str | None = None
    mail: str | None = None
    hours: Annotated[str | None, Meta(description="When somebody is there, in words")] = None


class ErrorTexts(Shape, frozen=True, gc=False):
    """The texts of error codes; `unknown` stands for every code that is not among them, with `{code}` where the code belongs. `contact`: whom the company names for help, null where it names nobody."""

    language: Literal["en", "ru"]
    texts: dict[str, ErrorText]
    unknown: ErrorText
    contact: Contact | None


class OwnershipPeriod(Shape, frozen=True, gc=False):
    """A time for which a contract gave the wearer the prosthesis, half-open; null: no beginning is known, or no end is set."""

    from_: datetime | None = msgspec.field(name="from")
    to: datetime | None
    contract_number: str


class Prosthesis(Shape, frozen=True, gc=False):
    """One prosthesis of the wearer, as the CRM has it."""

    prosthesis_id: ProsthesisId
    model: str
    serial_number: str
    current: Annotated[bool, Meta(description="A period holds now")]
    since: Annotated[
        datetime | None,
        Meta(description="The beginning of the unbroken time that holds now, or that was the last; null where none is known"),
    ]
    until: Annotated[datetime | None, Meta(description="The end of that time; null where none is set")]
    periods: Annotated[list[OwnershipPeriod], Meta(description="Oldest first")]
    last_report_date: Annotated[date | None, Meta(description="The latest local day with a report, within a year")]


class Prostheses(Shape, frozen=True, gc=False):
    """The prostheses that the wearer has, and then those that they had; each the newest first."""

    user_id: UserId
    timezone: TimeZone | None
    items: list[Prosthesis]


class FoundProsthesis(Shape, frozen=True, gc=False):
    """A prosthesis by which somebody can be recognised."""

    model: str
    serial_number: str


class FoundWearer(Shape, frozen=True, gc=False):
    """A wearer, with what the text was found with: enough to tell them from another, and nothing of their reports."""

    user_id: UserId
    name: str
    contract_numbers: list[str]
    prostheses: list[FoundProsthesis]


class Wearers(Shape, frozen=True, gc=False):
    """The wearers whom support's search found, by name, at most 20; `more`: there are others, so that the text has to be longer."""

    items: list[FoundWearer]
    more: bool
