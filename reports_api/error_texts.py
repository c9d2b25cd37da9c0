"""What error codes mean, in words, and whom to call: one file, which a company edits without code, for the page and for print (``error-texts.toml``)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from reports_api.detail_schemas import Contact, ErrorText, ErrorTexts
from reports_api.languages import LANGUAGES, Language
from schemas.ranges import ERROR_CODE

Texts = TypeVar("Texts", bound=msgspec.Struct)
DEMO = Path(__file__).with_name("error-texts.toml")
UNKNOWN = "unknown"
CONTACT = "contact"
MOST_CHARS = 600
MOST_CONTACT_CHARS = 120
_is_code = re.compile(ERROR_CODE).fullmatch
# Both stand in a link of the page, so that nothing else may come with them.
_is_phone = re.compile(r"\+?[0-9 ()./-]{3,40}").fullmatch
_is_mail = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+").fullmatch


class ErrorTextsError(ValueError):
    """The file cannot be used; the message names the place and what to do."""


class Catalogue:
    """The texts of every known code, those for all others, and whom to call (nobody: *contact* is empty)."""

    def __init__(self, texts: Mapping[str, Mapping[Language, ErrorText]], contact: Mapping[Language, Contact]) -> None:
        self._texts = texts
        self._contact = contact

    def of(self, language: Language) -> ErrorTexts:
        """Everything in one language."""
        known = {code: texts[language] for code, texts in sorted(self._texts.items()) if code != UNKNOWN}
        return ErrorTexts(language=language, texts=known, unknown=self._texts[UNKNOWN][language], contact=self._contact.get(language))

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
    contact = _contact(path, found.pop(CONTACT)) if CONTACT in found else {}
    return Catalogue({code: _texts(path, code, tables) for code, tables in found.items()}, contact)


def _contact(path: Path, tables: object) -> dict[Language, Contact]:
    if not isinstance(tables, dict) or set(tables) != set(LANGUAGES):
        raise ErrorTextsError(f"{path}: [{CONTACT}] must have the tables {', '.join(LANGUAGES)}, and no other")
    return {language: _contact_in(f"{path}: [{CONTACT}.{language}]", tables[language]) for language in LANGUAGES}


def _contact_in(place: str, table: object) -> Contact:
    contact = _shaped(place, table, Contact)
    for name in contact.__struct_fields__:
        text = getattr(contact, name)
        if text is not None and not 0 < len(text.strip()) <= MOST_CONTACT_CHARS:
            raise ErrorTextsError(f"{place}: {name} must have 1 to {MOST_CONTACT_CHARS} characters")
    if contact.phone is None and contact.mail is None:
        raise ErrorTextsError(f"{place}: phone or mail has to be there, or both")
    if contact.phone is not None and not _is_phone(contact.phone):
        raise ErrorTextsError(f"{place}: phone is no telephone number: digits, blanks and + ( ) . / - only")
    if contact.mail is not None and not _is_mail(contact.mail):
        raise ErrorTextsError(f"{place}: mail is no e-mail address")
    return contact


def _texts(path: Path, code: str, tables: object) -> dict[Language, ErrorText]:
    if not _is_code(code):
        raise ErrorTextsError(f"{path}: [{code}] is no error code: 1 to 64 characters of A–Z a–z 0–9 _ . -")
    if not isinstance(tables, dict) or set(tables) != set(LANGUAGES):
        raise ErrorTextsError(
            f"{path}: [{code}] must have the tables {', '.join(LANGUAGES)}, and no other; a code with a dot stands in quotes"
        )
    return {language: _text(f"{path}: [{code}.{language}]", tables[language]) for language in LANGUAGES}


def _text(place: str, table: object) -> ErrorText:
    text = _shaped(place, table, ErrorText)
    for name in text.__struct_fields__:
        if not 0 < len(getattr(text, name).strip()) <= MOST_CHARS:
            raise ErrorTextsError(f"{place}: {name} must have 1 to {MOST_CHARS} characters")
    return text


def _shaped(place: str, table: object, shape: type[Texts]) -> Texts:
    """*table* as *shape*, without anything that it does not have."""
    try:
        text = msgspec.convert(table, shape)
    except msgspec.ValidationError as error:
        raise ErrorTextsError(f"{place}: {error}") from None
    if isinstance(table, dict) and (unknown := set(table) - set(text.__struct_fields__)):
        raise ErrorTextsError(f"{place}: there is no text {', '.join(sorted(unknown))}; there are {', '.join(text.__struct_fields__)}")
    return text
