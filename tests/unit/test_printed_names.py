"""Names on the printed page: whatever a name is made of, it is never replaced without a word."""

from __future__ import annotations

import io

import pytest
from reportlab.pdfgen.canvas import Canvas

from reports_api import error_texts
from reports_api.export_pdf import REGULAR, _Page, _register_fonts, fit
from reports_api.pdf_lines import Wording

WIDE = 5_000


@pytest.fixture(autouse=True)
def fonts() -> None:
    _register_fonts()


@pytest.mark.parametrize("name", ["José Ñuñez", "Мария Ёлкина", "Nguyễn", "O'Brien", "What?"])
def test_a_name_that_the_font_has_is_printed_as_it_is(name: str) -> None:
    assert fit(name, REGULAR, 9.5, WIDE) == name


@pytest.mark.parametrize(
    ("name", "printed"), [("山田", "[U+5C71][U+7530]"), ("Ali علي", "Ali [U+0639][U+0644][U+064A]"), ("😀", "[U+1F600]")]
)
def test_what_the_font_cannot_draw_stands_as_its_number(name: str, printed: str) -> None:
    assert fit(name, REGULAR, 9.5, WIDE) == printed


def test_two_names_of_one_length_do_not_look_alike() -> None:
    assert fit("山田", REGULAR, 9.5, WIDE) != fit("鈴木", REGULAR, 9.5, WIDE)


def says_so(name: str) -> bool:
    """Whether a page with *name* on it explains the numbers."""
    page = _Page(Canvas(io.BytesIO()), Wording.of("en", error_texts.read()))
    page.text(0, 0, name)
    return page.undrawn


def test_the_page_says_what_a_number_stands_for_only_where_there_is_one() -> None:
    assert says_so("山田")
    assert not says_so("Мария")
