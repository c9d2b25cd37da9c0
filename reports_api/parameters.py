"""Query parameters: their bounds, and the ranges of days they stand for. Unknown parameters are errors, so that a typo is seen."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from reports_api import paging, problems
from reports_api.languages import Language
from reports_api.reports import MAX_RANGE_DAYS
from reports_api.summary import DayRange

FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2199, 12, 31)
ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


def _spelled(form: re.Pattern[str], said: str) -> BeforeValidator:
    """Allow one spelling of a value only. Without it the framework takes seconds since 1970 as a date, and `+3_1.0 ` as a number."""

    def check(value: object) -> object:
        if isinstance(value, str) and not form.fullmatch(value):
            raise ValueError(f"must be {said}")
        return value

    return BeforeValidator(check)


Day = Annotated[date, _spelled(ISO_DAY, "a date, YYYY-MM-DD"), Field(ge=FIRST_DAY, le=LAST_DAY)]
Limit = Annotated[int, _spelled(WHOLE_NUMBER, "a whole number"), Field(ge=1, le=100)]
ProsthesisFilter = Annotated[
    str, Field(pattern=r"^[0-9a-f-]{1,36}$", description="Only this prosthesis: a decimal id, or a UUID in lower case", examples=["17"])
]


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RangeParameters(Parameters):
    """A range of local days, both ends included."""

    from_: Day | None = Field(
        default=None, alias="from", description=f"First local day. The range may span {MAX_RANGE_DAYS} days.", examples=["2026-11-17"]
    )
    to: Day | None = Field(default=None, description="Last local day, included; today if left out", examples=["2026-11-23"])

    def days(self, today: date, default_days: int) -> DayRange:
        """The range meant on *today*. Raises ProblemError where it is empty or too long."""
        last = self.to or self._last(today)
        first = self.from_ or max(FIRST_DAY, last - timedelta(days=default_days - 1))
        if first > last:
            raise problems.invalid("query", "from", "must not be after `to`")
        if (last - first).days >= MAX_RANGE_DAYS:
            raise problems.invalid("query", "from", f"the range may span at most {MAX_RANGE_DAYS} days")
        return DayRange(first, last)

    def _last(self, today: date) -> date:
        """The last day of a range without an end: *today*, or the latest day that the bound of a range allows."""
        if self.from_ is None:
            return today
        return max(self.from_, min(today, self.from_ + timedelta(days=MAX_RANGE_DAYS - 1)))


class FilteredRangeParameters(RangeParameters):
    """A range, of all prostheses or of one."""

    prosthesis_id: ProsthesisFilter | None = None


class PageParameters(FilteredRangeParameters):
    """A page of a range."""

    limit: Limit = Field(default=31, description="Rows a page")
    cursor: Annotated[str, Field(max_length=paging.MAX_CURSOR_CHARS)] | None = Field(
        default=None, description="`next_cursor` of the page before, with the same other parameters", examples=["MjAyNi0xMS0yMCAxNw"]
    )

    def after(self) -> paging.Cursor:
        """Where the page starts. Raises ProblemError."""
        if self.cursor is None:
            return paging.START
        try:
            return paging.decode(self.cursor)
        except ValueError as error:
            raise problems.invalid("query", "cursor", str(error)) from error


class ExportParameters(FilteredRangeParameters):
    """A range to export, and how the reader's spreadsheet writes numbers: with a decimal comma, cells are parted by semicolons."""

    decimal: Literal["point", "comma"] = "point"


class DocumentParameters(RangeParameters):
    """A range to print, and the language to print it in."""

    lang: Language = "en"


class TextParameters(Parameters):
    """The language of texts."""

    lang: Language = "en"


class NoParameters(Parameters):
    """Endpoints that take none."""
