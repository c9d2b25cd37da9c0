"""What error codes mean, in words: one file, which a company edits without code, for the page and for print (``error-texts.toml``)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from reports_api.detail_schemas import ErrorText, ErrorTexts
from reports_api.languages import LANGUAGES, Language
from schemas.ranges import ERROR_CODE

DEMO = Path(__file__).with_name("error-texts.toml")
UNKNOWN = "unknown"
MOST_CHARS = 600
_is_code = re.compile(ERROR_CODE).fullmatch


class ErrorTextsError(ValueError):
    """The file cannot be used; the message names the place and what to do."""


class Catalogue:
    """The texts of every known code, and those for all others."""

    def __init__(self, texts: Mapping[str, Mapping[Language, ErrorText]]) -> None:
        self._texts = texts

    def of(self, language: Language) -> ErrorTexts:
        """Everything in one language."""
        known = {code: texts[language] for code, texts in sorted(self._texts.items()) if code != UNKNOWN}
        return ErrorTexts(language=language, texts=known, unknown=self._texts[UNKNOWN][language])

    def title(self, code: str, language: Language) -> str:
        """What stands in place of *code*; an unknown one is told as such, with the code in it."""
        known = self._texts.get(code) if code != UNKNOWN else None
        return known[language].title if known else self._texts[UNKNOWN][language].title.replace("{code}", code)


def read(path: Path = DEMO) -> Catalogue:
    """The catalogue of a file. Raises ErrorTextsError."""
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ErrorTextsError(f"{path}: {error}") from None
    if UNKNOWN not in found:
        raise ErrorTextsError(f"{path}: a table [{UNKNOWN}.en], and one [{UNKNOWN}.ru], has to say what stands for codes without texts")
    return Catalogue({code: _texts(path, code, tables) for code, tables in found.items()})


def _texts(path: Path, code: str, tables: object) -> dict[Language, ErrorText]:
    if not _is_code(code):
        raise ErrorTextsError(f"{path}: [{code}] is no error code: 1 to 64 characters of A–Z a–z 0–9 _ . -")
    if not isinstance(tables, dict) or set(tables) != set(LANGUAGES):
        raise ErrorTextsError(
            f"{path}: [{code}] must have the tables {', '.join(LANGUAGES)}, and no other; a code with a dot stands in quotes"
        )
    return {language: _text(f"{path}: [{code}.{language}]", tables[language]) for language in LANGUAGES}


def _text(place: str, table: object) -> ErrorText:
    try:
        text = msgspec.convert(table, ErrorText)
    except msgspec.ValidationError as error:
        raise ErrorTextsError(f"{place}: {error}") from None
    if isinstance(table, dict) and (unknown := set(table) - set(text.__struct_fields__)):
        raise ErrorTextsError(f"{place}: there is no text {', '.join(sorted(unknown))}; there are {', '.join(text.__struct_fields__)}")
    for name in text.__struct_fields__:
        if not 0 < len(getattr(text, name).strip()) <= MOST_CHARS:
            raise ErrorTextsError(f"{place}: {name} must have 1 to {MOST_CHARS} characters")
    return text
