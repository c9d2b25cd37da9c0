"""The fonts of the printed page, and what they can draw.

Fonts come as packages, pinned by the lock files; none of the machine's own is used, so that a page looks the same everywhere.
Texts are read for what the fonts hold only where the first lacks something: the font of Chinese, Japanese and Korean has 16 MB.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib.resources import files
from pathlib import Path

from reports_api import font_tables

FOLDERS = (("manimgx_fonts", ""), ("fontpkg_ibm_plex_sans_arabic", "files"), ("noto_cjk_sans_jp_regular", ""))
"""Package and folder inside it: Noto Sans and its sisters for other scripts; Arabic; Chinese, Japanese and Korean."""
FIRST, LAST = "NotoSans[wght].ttf", "NotoSansCJKjp-Regular.otf"
# Noto's Arabic draws dots apart from their letters, and what is copied or read aloud from the page is then neither.
LEFT_OUT = ("Italic", "NotoSansArabic", "Bold", "Light", "Thin", "Medium")
UNDRAWN = "[U+"  # before the number of a character that no font can draw
MAX_TEXT = 400  # characters of one text
JOINERS = "\u200c\u200d"  # part of how names are spelt in Arabic and Indic letters; drawn by no glyph of their own


def folders() -> list[Path]:
    """Where the fonts lie."""
    return [Path(str(files(package) / folder)) if folder else Path(str(files(package))) for package, folder in FOLDERS]


@cache
def fonts() -> tuple[Path, ...]:
    """The files that texts are drawn with: the first for nearly everything, the largest last."""
    found = [file for folder in folders() for file in folder.glob("*.[to]tf") if not any(part in file.name for part in LEFT_OUT)]
    return tuple(sorted(found, key=lambda file: (file.name != FIRST, file.name == LAST, file.name)))


_covered = cache(font_tables.characters)


def printable(text: str) -> str:
    """*text* on one line: without controls, and what no font can draw as its Unicode number.

    A stand-in that looks like any other would make two people's names one.
    """
    shown = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return "".join(_printed(character) for character in shown)


def _printed(character: str) -> str:
    if character in JOINERS or _is_variant(character):
        return character
    if unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp", "Zs"}:
        return character if character == "\u00a0" else " "
    drawn = any(ord(character) in _covered(font) for font in fonts())
    return character if drawn else f"{UNDRAWN}{ord(character):04X}]"


def _is_variant(character: str) -> bool:
    """Whether it chooses a form of the character before it, as names in Chinese characters do."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
