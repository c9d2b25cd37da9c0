"""A printed page read back: its text, what its tags are, what it says of itself."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pypdfium2
from pypdfium2 import raw

from local import fetch
from tests.support.waiting import PATIENCE_S


class Printed(NamedTuple):
    """*tags*: the kinds of the structure's elements in reading order; *pictures*: what stands for what is seen alone."""

    pages: int
    text: str
    title: str
    language: str
    tags: list[str]
    pictures: list[str]


def read(pdf: bytes) -> Printed:
    with pypdfium2.PdfDocument(pdf) as document:
        page = document[0]
        elements = list(_elements(page))
        return Printed(
            pages=len(document),
            text=page.get_textpage().get_text_range(),
            title=document.get_metadata_value("Title"),
            language=_text(raw.FPDFCatalog_GetLanguage, document),
            tags=[_text(raw.FPDF_StructElement_GetType, element) for element in elements],
            pictures=[alt for element in elements if (alt := _text(raw.FPDF_StructElement_GetAltText, element))],
        )


def _elements(page: pypdfium2.PdfPage) -> Iterator[Any]:
    tree = raw.FPDF_StructTree_GetForPage(page)
    for i in range(raw.FPDF_StructTree_CountChildren(tree)):
        yield from _within(raw.FPDF_StructTree_GetChildAtIndex(tree, i))


def _within(element: Any) -> Iterator[Any]:
    yield element
    for i in range(raw.FPDF_StructElement_CountChildren(element)):
        child = raw.FPDF_StructElement_GetChildAtIndex(element, i)
        if child:
            yield from _within(child)


def _text(call: Any, *arguments: Any) -> str:
    """What a function of the C library writes into the buffer that it is given."""
    length = call(*arguments, None, 0)
    buffer = ctypes.create_string_buffer(max(length, 2))
    call(*arguments, ctypes.cast(buffer, call.argtypes[len(arguments)]), length)
    return buffer.raw[:length].decode("utf-16-le").rstrip("\0")


def faults_by_standard(pages: Mapping[str, bytes], folder: Path) -> list[str]:
    """What veraPDF finds in *pages*, files by name, against PDF/UA-1; empty when they keep to it."""
    for name, content in pages.items():
        (folder / name).write_bytes(content)
    jar = next(fetch.located(("verapdf",))["verapdf"].glob("*.jar"))
    command = ["java", "-cp", str(jar), "org.verapdf.apps.GreenfieldCliWrapper", "-f", "ua1", "--format", "text", "-v"]
    said = subprocess.run(
        [*command, *(str(folder / name) for name in pages)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    verdicts = [line for line in said.stdout.splitlines() if line.startswith(("PASS", "FAIL"))]
    assert len(verdicts) == len(pages), said.stdout + said.stderr
    return [line for line in said.stdout.splitlines() if line and not line.startswith("PASS")]
