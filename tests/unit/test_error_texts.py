"""The file of error texts: read as a whole or refused with the place; unknown codes are told as such."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from reports_api import error_texts
from reports_api.detail_schemas import Contact
from reports_api.error_texts import Catalogue, ErrorTextsError
from reports_api.settings import ReportsSettings
from simulator.devices import ERRORS

TEXTS = 'title = "t"\nmeaning = "m"\naction = "a"\ncall = "c"\n'
CALL = 'phone = "+49 (0)30 1234-567"\nmail = "help@clinic.example"\nhours = "Mo"\n'
WHOLE = f"[unknown.en]\n{TEXTS}\n[unknown.ru]\n{TEXTS}\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "texts.toml"
    file.write_text(text, "utf-8")
    return file


def test_the_demos_file_has_texts_for_all_codes_of_the_demo_in_both_languages() -> None:
    for language in ("en", "ru"):
        found = error_texts.read().of(language)
        assert {code for code, _, _ in ERRORS} <= set(found.texts)
        assert found.language == language


def test_an_unknown_code_is_told_as_such_and_never_as_another() -> None:
    catalogue = error_texts.read()
    assert catalogue.title("SURPRISE", "en") == "Code SURPRISE"
    assert catalogue.title("unknown", "ru") == "Код unknown"
    assert catalogue.title("MOTOR_STALL", "en") == "Motor blocked"


def test_a_company_adds_a_code_by_its_file_alone(tmp_path: Path) -> None:
    file = written(tmp_path, WHOLE + f'["E.7".en]\n{TEXTS}\n["E.7".ru]\n{TEXTS}'.replace('"t"', '"Seven"'))
    catalogue: Catalogue = error_texts.read(ReportsSettings(error_texts=file).error_texts)
    assert catalogue.title("E.7", "en") == "Seven"


def test_a_company_names_whom_to_call_and_the_demo_names_nobody(tmp_path: Path) -> None:
    contacts = f'[contact.en]\nwho = "The clinic"\n{CALL}[contact.ru]\nwho = "Клиника"\nmail = "help@clinic.example"\n'
    found = error_texts.read(written(tmp_path, WHOLE + contacts))
    assert found.of("en").contact == Contact("The clinic", "+49 (0)30 1234-567", "help@clinic.example", "Mo")
    assert found.of("ru").contact == Contact("Клиника", None, "help@clinic.example", None)
    assert "contact" not in found.of("en").texts
    assert error_texts.read().of("en").contact is None


@pytest.mark.parametrize(
    ("contact", "said"),
    [
        ('[contact.en]\nwho = "x"\nphone = "123"', "en, ru"),
        ('[contact]\nwho = "x"', "en, ru"),
        ('[contact.en]\nwho = "x"\nphone = "123"\n[contact.ru]\nwho = "x"', "phone or mail"),
        (f'[contact.en]\nwho = ""\n{CALL}[contact.ru]\nwho = "x"\n{CALL}', "who must have"),
        (f'[contact.ru]\nwho = "x"\n{CALL}[contact.en]\n{CALL}', r"\[contact\.en\].*who"),
        (f'[contact.ru]\nwho = "x"\n{CALL}[contact.en]\nwho = "x"\nphone = "1;ext=2"', "no telephone number"),
        (f'[contact.ru]\nwho = "x"\n{CALL}[contact.en]\nwho = "x"\nmail = "a@b.example?bcc=c@d.example"', "no e-mail address"),
        (f'[contact.ru]\nwho = "x"\n{CALL}[contact.en]\nwho = "x"\n{CALL}fax = "1"', "no text fax"),
    ],
)
def test_a_faulty_contact_is_refused_with_the_place(tmp_path: Path, contact: str, said: str) -> None:
    with pytest.raises(ErrorTextsError, match=said):
        error_texts.read(written(tmp_path, WHOLE + contact))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "texts.toml"),
        ("", r"\[unknown\.en\]"),
        (WHOLE + f"[X.en]\n{TEXTS}", "en, ru"),
        (WHOLE + f"[X.en]\n{TEXTS}\n[X.ru]\n{TEXTS}\n[X.de]\n{TEXTS}", "en, ru"),
        (WHOLE + f"[E.7.en]\n{TEXTS}\n[E.7.ru]\n{TEXTS}", "quotes"),
        (WHOLE + f'["X Y".en]\n{TEXTS}', "no error code"),
        (WHOLE + f"[X.en]\n{TEXTS}\n[X.ru]\ntitle = 5", r"\[X.ru\]"),
        (WHOLE + f"[X.en]\n{TEXTS}\n[X.ru]\n{TEXTS}more = 'x'", "no text more"),
        (WHOLE + f"[X.en]\n{TEXTS}\n[X.ru]\n{TEXTS}".replace('"t"', '" "'), "title must have"),
    ],
)
def test_a_faulty_file_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ErrorTextsError, match=said):
        error_texts.read(written(tmp_path, text))
    with pytest.raises(ValidationError, match=r"texts\.toml"):
        ReportsSettings(error_texts=tmp_path / "texts.toml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"absent\.toml"):
        ReportsSettings(error_texts=tmp_path / "absent.toml")
