"""Values as the files of servers write them, so that each reads back what was meant."""

from __future__ import annotations

from xml.sax.saxutils import escape


def valkey(value: str) -> str:
    """In double quotes where it is more than a plain word; backslash and quote are escaped."""
    if value and all(character.isascii() and (character.isalnum() or character in "_-./#") for character in value):
        return value
    return f'"{inside_quotes(value)}"'


def inside_quotes(value: str) -> str:
    """Between double quotes that stand in the template, as Java's login configuration and many others read it."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


def supervisor(value: str) -> str:
    """``%`` begins an expansion of supervisord's."""
    return value.replace("%", "%%")


def xml(value: str) -> str:
    return escape(value, {'"': "&quot;"})


def java_properties(value: str) -> str:
    """Java reads such a file as Latin-1: other characters are written as ``\\uXXXX``, and a blank in front would be lost."""
    escaped = value.replace("\\", "\\\\")
    units = escaped.encode("utf-16-be")
    text = "".join(_unit(int.from_bytes(units[i : i + 2], "big")) for i in range(0, len(units), 2))
    return f"\\{text}" if text.startswith(" ") else text


def _unit(code: int) -> str:
    return chr(code) if 0x20 <= code < 0x7F else f"\\u{code:04X}"
