"""The printed page, read back: names in every script, languages, tags, places that texts are cut to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from struct import pack

import pytest

from reports_api import error_texts
from reports_api.examples import NOW, ROW, USER_ID
from reports_api.export_pdf import render
from reports_api.font_tables import characters
from reports_api.glyphs import printable
from reports_api.languages import Language
from reports_api.summary import DayRange, summary
from schemas.mart import MartRow
from tests.support.printed import Printed, faults_by_standard, read

CATALOGUE = error_texts.read()
DAYS = DayRange(ROW.report_date - timedelta(days=6), ROW.report_date)
SCRIPTS = {
    "latin": "Nguyễn O'Brien-Ñuñez",
    "cyrillic": "Мария Ёлкина",
    "cjk": "田中 ゆき",
    "arabic": "محمد بن سلمان",
    "devanagari": "देवनागरी प्रिया",
}
MORE_SCRIPTS = ["김철수", "王小明", "გიორგი", "Արամ", "สมชาย", "আনোয়ার", "தமிழ்", "葛\U000e0100城"]


def rows(name: str, days: int = 14, **changes: object) -> list[MartRow]:
    """A row a day, the newest first."""
    past = [timedelta(days=i) for i in range(days)]
    return [
        ROW._replace(
            report_date=ROW.report_date - each,
            day_starts_at=ROW.day_starts_at - each,
            day_ends_at=ROW.day_ends_at - each,
            customer_name=name,
            **changes,
        )
        for each in past
    ]


def pdf(found: Sequence[MartRow], language: Language = "en", days: DayRange = DAYS) -> bytes:
    return render(found, summary(USER_ID, days, found, {7: NOW}, NOW), NOW, language, CATALOGUE)


def page_of(name: str, language: Language = "en") -> Printed:
    return read(pdf(rows(name), language))


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("name", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_name_in_each_script_is_read_back_as_it_is(name: str, language: Language) -> None:
    page = page_of(name, language)
    assert name in page.text
    assert "[U+" not in page.text
    assert page.pages == 1


@pytest.mark.parametrize("name", [*SCRIPTS.values(), *MORE_SCRIPTS, "علی\u200cرضا", "क्\u200dष"])
def test_what_a_font_has_is_printed_and_joiners_stay(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("བོད", "[U+0F56][U+0F7C][U+0F51]"),
        ("Ali 𒀀", "Ali [U+12000]"),
        ("a\ue000b", "a[U+E000]b"),
        ("a\nb\u202ec", "a b c"),
        ("x\ud800", "x[U+D800]"),
    ],
)
def test_what_no_font_can_draw_stands_as_its_number_and_controls_as_blanks(name: str, printed: str) -> None:
    assert printable(name) == printed


def test_a_font_says_which_characters_it_draws(tmp_path: Path) -> None:
    """A made table of each format: by segments, with a hole (glyph 0) among A to C; and by groups, beyond U+FFFF."""
    segments = pack(">7H", 4, 0, 0, 6, 0, 0, 0) + pack(">3H", 0x43, 0x61, 0xFFFF) + pack(">H", 0) + pack(">3H", 0x41, 0x61, 0xFFFF)
    segments += pack(">3H", 0, 5, 1) + pack(">3H", 6, 0, 0) + pack(">3H", 7, 0, 9)
    groups = pack(">HHIII", 12, 0, 0, 0, 2) + pack(">III", 0x41, 0x42, 1) + pack(">III", 0x12000, 0x12000, 3)
    assert characters(font_with(segments, tmp_path)) == {0x41, 0x43, 0x61}
    assert characters(font_with(groups, tmp_path)) == {0x41, 0x42, 0x12000}
    with pytest.raises(ValueError, match="none of the formats"):
        characters(font_with(pack(">H", 6), tmp_path))


def font_with(subtable: bytes, folder: Path) -> Path:
    table = pack(">HH", 0, 1) + pack(">HHI", 3, 1, 12) + subtable
    file = folder / "made.ttf"
    file.write_bytes(pack(">IHHHH", 0x10000, 1, 0, 0, 0) + pack(">4sIII", b"cmap", 0, 28, len(table)) + table)
    return file


def test_the_page_says_what_a_number_stands_for_only_where_there_is_one() -> None:
    assert "[U+…] stands for" in page_of("བོད").text
    assert "stands for" not in page_of("田中").text


@pytest.mark.parametrize(
    "name", ['#panic("x")', "*bold* _it_ $x^2$ <label> @ref // no", "\\u{41} #{1+1}", '"}, {"title": "other"', "`raw`"]
)
def test_markup_in_a_name_is_only_shown(name: str) -> None:
    page = page_of(name)
    assert name in page.text
    assert page.title == "Prosthesis use: summary"


@pytest.mark.parametrize(
    ("language", "title", "heading", "error"),
    [
        ("en", "Prosthesis use: summary", "Active time by day, hours", "Errors of the period"),
        ("ru", "Использование протеза: сводка", "Активное время по дням, часы", "Ошибки за период"),
    ],
)
def test_the_page_tells_its_language_title_and_parts_by_tags(language: Language, title: str, heading: str, error: str) -> None:
    page = page_of("Анна", language)
    assert (page.language, page.title) == (language, title)
    assert page.tags[0] == "Document"
    assert [tag for tag in page.tags if tag in {"H1", "H2", "Table", "Figure", "L"}] == ["H1", "L", "Table", "H2", "Figure", "H2", "L"]
    head = page.tags.index("THead")
    assert page.tags[head : page.tags.index("TBody")].count("TH") == 4
    assert page.text.index(title) < page.text.index("Анна") < page.text.index(heading) < page.text.index(error)


def test_the_chart_is_told_in_words() -> None:
    found = rows("Anna")
    found[2] = found[2]._replace(usage_ms=10_800_000)
    found[4] = found[4]._replace(usage_ms=1_800_000)
    del found[5]
    (words,) = read(pdf(found)).pictures
    assert "17\u00a0Nov\u00a02026 to 23\u00a0Nov\u00a02026" in words
    assert "Most: 3.0 h on 21\u00a0Nov\u00a02026. Least: 0.5 h on 19\u00a0Nov\u00a02026. Days without data: 1." in words


def test_a_period_without_data_says_so_and_has_no_chart() -> None:
    page = read(pdf(rows("Anna")[8:]))
    assert "There is no data in this period." in page.text
    assert page.pictures == []


def test_long_texts_are_cut_with_an_ellipsis_and_stay_on_the_page() -> None:
    page = page_of("W" * 390)
    assert "WWW…" in page.text
    assert page.pages == 1


def crowded() -> list[MartRow]:
    """Long names, four prostheses, contracts and error codes by the dozen, a quarter of a year: more than the page shows."""
    codes = {f"E_CODE_{i}": i + 1 for i in range(12)}
    name = "Константин Константинопольский-Задунайский " * 3
    days = rows(name, 180, errors_by_code=codes, error_count=78)
    return [
        row._replace(prosthesis_id=str(i), prosthesis_serial_number=f"BH3-{i:06}", contract_number=f"BP-2026-{day % 40:04}")
        for day, row in enumerate(days)
        for i in range(4)
    ]


def test_a_page_with_everything_on_it_is_one_page() -> None:
    page = read(pdf(crowded(), "ru", DayRange(ROW.report_date - timedelta(days=89), ROW.report_date)))
    assert page.pages == 1
    assert "и ещё 1" in page.text
    assert "Составлено по телеметрии устройства" in page.text


def test_the_same_page_is_made_of_the_same_data() -> None:
    assert pdf(rows("Anna")) == pdf(rows("Anna"))


def test_pages_keep_to_the_standard_of_accessible_documents(tmp_path: Path) -> None:
    """PDF/UA-1 by veraPDF, in each language and script, with numbers for characters, and without data."""
    pages = {f"{script}.pdf": pdf(rows(name), "ru" if i % 2 else "en") for i, (script, name) in enumerate(SCRIPTS.items())}
    pages |= {"numbers.pdf": pdf(rows("བོད")), "nothing.pdf": pdf([]), "crowded.pdf": pdf(crowded(), "ru")}
    assert faults_by_standard(pages, tmp_path) == []


def test_times_are_of_the_wearers_clock_and_zone() -> None:
    text = page_of("Anna").text
    assert "Printed 23 Nov 2026 16:30. Times are of Europe/Moscow." in text.replace("\u00a0", " ")
