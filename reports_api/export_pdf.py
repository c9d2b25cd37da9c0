"""One page for a clinician's file: who, which prosthesis, the period against the one before, use by day, errors by code.

Texts of customers are drawn, never parsed as markup, and cut to their place, so that whatever a name holds, it is only shown.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import as_file, files

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from reports_api.error_texts import Catalogue
from reports_api.languages import Language
from reports_api.pdf_lines import MAX_ERROR_LINES, MAX_PROSTHESES, Wording, error_lines, figures, foot, identity
from reports_api.schemas import Summary
from schemas.mart import MartRow

REGULAR, BOLD = "Roboto", "Roboto-Bold"
INK, QUIET, LINE, BAR = HexColor("#1a2233"), HexColor("#5b6577"), HexColor("#cfd6e1"), HexColor("#2f6fde")
LEFT: float = 18 * mm
RIGHT: float = A4[0] - 18 * mm
MM: float = mm
COLUMNS = (LEFT, LEFT + 82 * mm, LEFT + 124 * mm, RIGHT)
MAX_WRAPPED = 3  # lines of one value; the last is cut
CHART_HEIGHT: float = 42 * mm
LEAST_CHART_HEIGHT: float = 16 * mm
SPACE_BELOW_CHART: float = 88 * mm  # for the day labels, the errors and the foot
HOUR_MS = 3_600_000
UNDRAWN = "[U+"  # before the number of a character that the font cannot draw


@cache
def _register_fonts() -> None:
    """Roboto, which has Cyrillic, from the package ``font-roboto``."""
    folder = files("font_roboto") / "files"
    for name, file in ((REGULAR, "Roboto-Regular.ttf"), (BOLD, "Roboto-Bold.ttf")):
        with as_file(folder / file) as path:
            pdfmetrics.registerFont(TTFont(name, str(path)))


def fit(text: str, font: str, size: float, width: float) -> str:
    """*text* on one line without control characters, what the font cannot draw as its Unicode number, cut with an ellipsis where it is wider than *width* points.

    A stand-in that looks like any other would make two people's names one.
    """
    drawable = pdfmetrics.getFont(font).face.charToGlyph
    line = "".join(c if ord(c) in drawable else f"{UNDRAWN}{ord(c):04X}]" if c.isprintable() else " " for c in text[:400])
    if pdfmetrics.stringWidth(line, font, size) <= width:
        return line
    while line and pdfmetrics.stringWidth(line + "…", font, size) > width:
        line = line[:-1]
    return line.rstrip() + "…"


def render(rows: Sequence[MartRow], body: Summary, now: datetime, language: Language, catalogue: Catalogue) -> bytes:
    """The PDF. *rows* are the mart rows of both periods of *body*, newest day first; *catalogue*: what error codes are called."""
    _register_fonts()
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, pageCompression=1, lang=language)
    page = _Page(canvas, Wording.of(language, catalogue))
    page.canvas.setTitle(page.texts["title"])
    y = page.head(rows, body, A4[1] - 22 * mm)
    y = page.table(body, _names(rows), y)
    y = page.chart(rows, body, y)
    page.error_table(body, y)
    page.foot(rows, body, now)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


class _Page:
    """Draws the parts from top to bottom; each takes the height where it begins and returns where the next may."""

    def __init__(self, canvas: Canvas, say: Wording) -> None:
        self.canvas = canvas
        self.say = say
        self.texts = say.texts
        self.undrawn = False  # whether some text holds what the font cannot draw

    def text(
        self, x: float, y: float, text: str, *, size: float = 9.5, bold: bool = False, quiet: bool = False, width: float = 500
    ) -> None:
        font = BOLD if bold else REGULAR
        self.canvas.setFont(font, size)
        self.canvas.setFillColor(QUIET if quiet else INK)
        self.canvas.drawString(x, y, self._fit(text, font, size, width))

    def _fit(self, text: str, font: str, size: float, width: float) -> str:
        line = fit(text, font, size, width)
        self.undrawn = self.undrawn or UNDRAWN in line
        return line

    def rule(self, y: float) -> None:
        self.canvas.setStrokeColor(LINE)
        self.canvas.setLineWidth(0.6)
        self.canvas.line(LEFT, y, RIGHT, y)

    def head(self, rows: Sequence[MartRow], body: Summary, y: float) -> float:
        self.text(LEFT, y, self.texts["title"], size=17, bold=True)
        y -= 11 * MM
        for label, value in identity(rows, body, self.say):
            self.text(LEFT, y, label, quiet=True, width=38 * MM)
            for line in wrapped(value, REGULAR, 9.5, RIGHT - LEFT - 40 * MM):
                self.text(LEFT + 40 * MM, y, line, width=RIGHT - LEFT - 40 * MM)
                y -= 5.4 * MM
        return y - 4 * MM

    def table(self, body: Summary, names: Mapping[str, str], y: float) -> float:
        for x, key in zip(COLUMNS, ("column_metric", "column_current", "column_previous"), strict=False):
            self.text(x, y, self.texts[key], bold=True, width=40 * MM)
        self._right(y, self.texts["column_change"], bold=True)
        self.rule(y - 2 * MM)
        for label, current, previous, change in figures(body, self.say, names):
            y -= 6.6 * MM
            self.text(COLUMNS[0], y, label, width=80 * MM)
            self.text(COLUMNS[1], y, current, width=41 * MM)
            self.text(COLUMNS[2], y, previous, width=34 * MM, quiet=True)
            self._right(y, change)
            self.rule(y - 2 * MM)
        return y - 12 * MM

    def _right(self, y: float, text: str, *, bold: bool = False) -> None:
        font = BOLD if bold else REGULAR
        self.canvas.setFont(font, 9.5)
        self.canvas.setFillColor(INK)
        self.canvas.drawRightString(RIGHT, y, self._fit(text, font, 9.5, 26 * MM))

    def chart(self, rows: Sequence[MartRow], body: Summary, y: float) -> float:
        self.text(LEFT, y, self.texts["chart"], bold=True)
        y -= 4 * MM
        if not body.current.days_with_data:
            self.text(LEFT, y - 6 * MM, self.texts["no_data"], quiet=True)
            return y - 16 * MM
        height = max(LEAST_CHART_HEIGHT, min(CHART_HEIGHT, y - SPACE_BELOW_CHART))
        base = y - height
        self._bars(_usage_by_day(rows, body.current.from_, body.current.to), base, height)
        self._day_label(LEFT, base, body.current.from_)
        self.canvas.drawRightString(RIGHT, base - 4.5 * MM, self.say.locale.day(body.current.to))
        return base - 14 * MM

    def _bars(self, usage: Sequence[int], base: float, chart: float) -> None:
        top_hours = max(1, -(-max(usage) // HOUR_MS))
        left = LEFT + 10 * MM
        step = (RIGHT - left) / len(usage)
        for fraction in (0, 0.5, 1):
            self.canvas.setStrokeColor(LINE)
            self.canvas.line(left, base + fraction * chart, RIGHT, base + fraction * chart)
            self.text(
                LEFT,
                base + fraction * chart - 1 * MM,
                self.say.locale.number(top_hours * fraction, int(top_hours * fraction % 1 > 0)),
                size=8,
                quiet=True,
            )
        self.canvas.setFillColor(BAR)
        for i, ms in enumerate(usage):
            height = chart * ms / (top_hours * HOUR_MS)
            self.canvas.rect(left + i * step + step * 0.15, base, step * 0.7, height, stroke=0, fill=1)

    def _day_label(self, x: float, base: float, day: date) -> None:
        self.text(x + 10 * MM, base - 4.5 * MM, self.say.locale.day(day), size=8, quiet=True)

    def error_table(self, body: Summary, y: float) -> None:
        self.text(LEFT, y, self.texts["error_table"], bold=True)
        for i, line in enumerate(error_lines(body, self.say)):
            column, place = divmod(i, -(-MAX_ERROR_LINES // 2))
            self.text(LEFT + column * 88 * MM, y - (place + 1) * 5.4 * MM, line, width=84 * MM)

    def foot(self, rows: Sequence[MartRow], body: Summary, now: datetime) -> None:
        printed = self.say.locale.moment(now, rows[0].timezone if rows else "UTC")
        lines = [*foot(rows, body, printed, self.say), *([self.texts["note_undrawn"]] if self.undrawn else [])]
        y = 12 * MM + len(lines) * 4 * MM
        self.rule(y + 4.5 * MM)
        for line in lines:
            self.text(LEFT, y, line, size=7.2, quiet=True, width=RIGHT - LEFT)
            y -= 4 * MM


def wrapped(text: str, font: str, size: float, width: float) -> list[str]:
    """*text* in lines of at most *width* points, parted at its blanks; what is too long by itself stays one line."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and pdfmetrics.stringWidth(f"{lines[-1]} {word}", font, size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > MAX_WRAPPED:
        lines = [*lines[: MAX_WRAPPED - 1], " ".join(lines[MAX_WRAPPED - 1 :])]
    return lines


def _names(rows: Sequence[MartRow]) -> dict[str, str]:
    """The serial number, else the id, of as many prostheses as the page names."""
    names: dict[str, str] = {}
    for row in rows:
        names.setdefault(row.prosthesis_id, row.prosthesis_serial_number or row.prosthesis_id)
    return dict(list(names.items())[:MAX_PROSTHESES])


def _usage_by_day(rows: Sequence[MartRow], first: date, last: date) -> list[int]:
    by_day: defaultdict[date, int] = defaultdict(int)
    for row in rows:
        by_day[row.report_date] += row.usage_ms
    return [by_day[first + timedelta(days=i)] for i in range((last - first).days + 1)]
