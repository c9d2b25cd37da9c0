"""How a language writes numbers, days and moments in print: pure."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

from reports_api.languages import Language
from schemas.zones import zone

MINUS, NARROW, FIXED = "\u2212", "\u202f", "\u00a0"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Locale(NamedTuple):
    """*decimal* stands before fractions, *thousands* between groups of three digits."""

    language: Language
    decimal: str
    thousands: str

    def number(self, value: float, digits: int = 0, *, signed: bool = False) -> str:
        """*value* with so many *digits* of a fraction, with the sign for minus that is as wide as a plus; nothing and minus nothing are 0. *signed*: with a plus too."""
        text = f"{abs(value):,.{digits}f}".replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)
        if not text.strip(f"0{self.decimal}"):
            return text
        return (MINUS if value < 0 else "+" if signed else "") + text

    def percent(self, value: float, digits: int = 0, *, signed: bool = False) -> str:
        return f"{self.number(value, digits, signed=signed)}{FIXED}%"

    def day(self, day: date) -> str:
        return f"{day:%d.%m.%Y}" if self.language == "ru" else f"{day.day}{FIXED}{_MONTHS[day.month - 1]}{FIXED}{day.year}"

    def moment(self, at: datetime, timezone: str) -> str:
        """Day and minute by the clock of *timezone*."""
        local = at.astimezone(zone(timezone))
        return f"{self.day(local.date())}{FIXED}{local:%H:%M}"


LOCALES: dict[Language, Locale] = {"en": Locale("en", ".", ","), "ru": Locale("ru", ",", FIXED)}
