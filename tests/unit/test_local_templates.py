"""Every template, with paths as people name their folders, is read back by its format as it was meant."""

from __future__ import annotations

import configparser
import re
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from local import paths
from local.instance import WRITTEN, Instance
from local.servers.program import Program
from local.supervision import section

TEMPLATES = sorted(file.name for file in paths.TEMPLATES.iterdir())
ODD = ["/home/it's me", '/home/a "b"', "/home/Отчёты/日本 𝄞", "/home/a & b <c>", " /blank", "/home/100%"]
NAME = re.compile(r"\$(\w+)")


def names_in(template: str) -> set[str]:
    return set(NAME.findall((paths.TEMPLATES / template).read_text(encoding="utf-8")))


def rendered(template: str, value: str) -> str:
    return Instance(Path("/"), {}, {}).render(template, **dict.fromkeys(names_in(template), value))


def expected(template: str, value: str, pattern: str) -> dict[str, str]:
    """What stands behind each key that holds a name, with *value* put in."""
    text = (paths.TEMPLATES / template).read_text(encoding="utf-8")
    return {
        found[1]: NAME.sub(lambda _: value, found[2]).replace("$$", "$")
        for found in re.finditer(pattern, text, re.MULTILINE)
        if "$" in found[2]
    }


def java_properties(text: str) -> dict[str, str]:
    """As java.util.Properties reads its bytes, Latin-1, for ``key=value`` lines."""
    pairs = (line.partition("=") for line in text.encode("latin-1").decode("latin-1").splitlines() if line and not line.startswith("#"))
    return {key.strip(): _unescaped(value.lstrip()) for key, _, value in pairs}


def _unescaped(value: str) -> str:
    units = re.sub(r"\\u([0-9A-F]{4})|\\(.)", lambda found: chr(int(found[1], 16)) if found[1] else found[2], value)
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be")


def redis(text: str) -> dict[str, str]:
    lines = (shlex.split(line) for line in text.splitlines() if line and not line.startswith("#"))
    return {key: " ".join(values) for key, *values in lines}


def supervisord(text: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    return {key: value % {} for name in parser.sections() for key, value in parser.items(name)}


def jaas(text: str) -> dict[str, str]:
    pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text)
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in pairs}


READERS: dict[str, tuple[Callable[[str], dict[str, str]], str]] = {
    "redis.conf": (redis, r"^(\w+) (.*)$"),
    "supervisord.conf": (supervisord, r"^(\w+) = (.*)$"),
    "connect-jaas.conf": (jaas, r'(?:^|\s)(\w+)="([^"]*)"'),
    "kafka.properties": (java_properties, r"^([\w.]+)=(.*)$"),
    "connect.properties": (java_properties, r"^([\w.]+)=(.*)$"),
}


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("template", READERS)
def test_a_path_is_read_back_as_it_was_meant(template: str, value: str) -> None:
    read, pattern = READERS[template]
    found = read(rendered(template, value))
    for key, wanted in expected(template, value, pattern).items():
        assert found[key].strip() == wanted.strip()


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("template", [name for name in TEMPLATES if name.endswith(".xml")])
def test_a_path_in_xml_is_read_back_as_it_was_meant(template: str, value: str) -> None:
    read = {element.text for element in ET.fromstring(rendered(template, value)).iter() if element.text}
    assert not names_in(template) or any(value in text for text in read)


def test_a_template_whose_format_is_not_known_holds_no_path() -> None:
    unknown = [name for name in TEMPLATES if not {name, Path(name).suffix} & WRITTEN.keys()]
    assert {name for template in unknown for name in names_in(template)} <= {"port", "bff", "probe", "level"}


@pytest.mark.parametrize("value", [*ODD, "/home/a;b", "/home/a#b"])
def test_a_programs_folder_and_arguments_survive_the_supervisors_file(value: str) -> None:
    read = supervisord(section(Program("p", ("run", value), Path(value.strip())), Path("/logs")))
    assert shlex.split(read["command"]) == ["run", value]
    assert read["directory"] == value.strip() or " #" in value
