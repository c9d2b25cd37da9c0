"""One page for a clinician's file: who, which prosthesis, the period against the one before, use by day, errors by code.

A tagged PDF by PDF/UA-1. Texts of customers go to the compiler as data and are never markup, so that whatever a name holds, it is only shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
import typst

from reports_api import glyphs
from reports_api.error_texts import Catalogue
from reports_api.languages import Language
from reports_api.pdf_lines import Wording
from reports_api.pdf_page import PdfPage, pdf_page
from reports_api.schemas import Summary
from schemas.mart import MartRow


class _Press(NamedTuple):
    compiler: typst.Compiler
    families: str


def render(rows: Sequence[MartRow], body: Summary, now: datetime, language: Language, catalogue: Catalogue) -> bytes:
    """The PDF. *rows* are the mart rows of both periods of *body*, newest day first; *catalogue*: what error codes are called."""
    say = Wording.of(language, catalogue)
    return _printed(with_numbers(pdf_page(rows, body, now, say), say), now)


def with_numbers(page: PdfPage, say: Wording) -> dict[str, Any]:
    """*page* as plain data, each character that no font can draw by its number; where there is one, the notes explain it."""
    shown: dict[str, Any] = _each_text(msgspec.to_builtins(page), glyphs.printable)
    if glyphs.UNDRAWN in msgspec.json.encode(shown).decode():
        shown["notes"] = [*shown["notes"], say.texts["note_undrawn"]]
    return shown


def _each_text(data: Any, change: Callable[[str], str]) -> Any:
    match data:
        case str():
            return change(data)
        case dict():
            return {key: _each_text(value, change) for key, value in data.items()}
        case list() | tuple():
            return [_each_text(value, change) for value in data]
        case _:
            return data


def _printed(page: dict[str, Any], now: datetime) -> bytes:
    press = _press()
    layout = (files("reports_api") / "summary.typ").read_bytes()
    inputs = {"page": msgspec.json.encode(page).decode(), "fonts": press.families}
    made = press.compiler.compile(layout, format="pdf", sys_inputs=inputs, pdf_standards="ua-1", timestamp=int(now.timestamp()))
    assert isinstance(made, bytes), "one document is asked for"
    return made


@cache
def _press() -> _Press:
    """Kept for the life of the process: the compiler remembers fonts and layout."""
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder) for folder in glyphs.folders()])
    by_file = {info.path: info.family for info in fonts.fonts()}
    families = [by_file[str(file)] for file in glyphs.fonts()]
    return _Press(typst.Compiler(font_paths=fonts, ignore_system_fonts=True), msgspec.json.encode(families).decode())
