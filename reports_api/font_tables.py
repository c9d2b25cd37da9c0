"""Which characters a font file (TrueType or OpenType) has glyphs for, by its table ``cmap``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import iter_unpack, unpack_from

SEGMENTS, GROUPS = 4, 12
"""Formats of the table: characters up to U+FFFF, and all of them."""


def characters(font: Path) -> frozenset[int]:
    """The numbers of all characters that *font* has a glyph for. Raises ValueError where the table is of a format that is not known here."""
    table = _cmap(font)
    (count,) = unpack_from(">H", table, 2)
    offsets = {offset for _, _, offset in iter_unpack(">HHI", table[4 : 4 + 8 * count])}
    by_format = {unpack_from(">H", table, offset)[0]: table[offset:] for offset in offsets}
    if GROUPS in by_format:
        return frozenset(_of_groups(by_format[GROUPS]))
    if SEGMENTS in by_format:
        return frozenset(_of_segments(by_format[SEGMENTS]))
    raise ValueError(f"{font.name}: its cmap has none of the formats {SEGMENTS} and {GROUPS}, only {sorted(by_format)}")


def _cmap(font: Path) -> bytes:
    with font.open("rb") as file:
        _, tables = unpack_from(">IH", file.read(12))
        for tag, _, offset, length in iter_unpack(">4sIII", file.read(16 * tables)):
            if tag == b"cmap":
                file.seek(offset)
                return file.read(length)
    raise ValueError(f"{font.name}: no table cmap")


def _of_groups(table: bytes) -> Iterator[int]:
    (count,) = unpack_from(">I", table, 12)
    for first, last, glyph in iter_unpack(">III", table[16 : 16 + 12 * count]):
        yield from range(first + (glyph == 0), last + 1)


def _of_segments(table: bytes) -> Iterator[int]:
    (doubled,) = unpack_from(">H", table, 6)
    places = 14, 16 + doubled, 16 + 2 * doubled, 16 + 3 * doubled
    for i in range(0, doubled, 2):
        last, first, delta, offset = (unpack_from(">H", table, place + i)[0] for place in places)
        for character in range(first, min(last, 0xFFFE) + 1):
            at = places[3] + i + offset + 2 * (character - first)
            glyph = unpack_from(">H", table, at)[0] if offset else (character + delta) & 0xFFFF
            if glyph:
                yield character
