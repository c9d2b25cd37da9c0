"""Limits, back-off, the watermarks' timing, exports' texts, and the rules of the package's layers."""

from __future__ import annotations

import ast
import asyncio
import csv
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

import reports_api
from reports_api import export_csv
from reports_api.access import bearer_token
from reports_api.auth import InvalidTokenError
from reports_api.edge import refuse
from reports_api.examples import ROW, WATERMARKS
from reports_api.parameters import RangeParameters
from reports_api.pdf_texts import TEXTS
from reports_api.repository import ForeignRowError, ReportRepository
from reports_api.summary import DayRange
from reports_api.watermarks import WatermarkCache
from service_kit.problem_details import ProblemError
from service_kit.public_keys import signature_keys
from service_kit.server_sent_events import events, frame
from service_kit.token_buckets import MOST_BUCKETS, TokenBuckets

PACKAGE = Path(reports_api.__file__).parent
PURE = (
    "domain",
    "summary",
    "paging",
    "etags",
    "schemas",
    "detail_schemas",
    "examples",
    "export_csv",
    "pdf_lines",
    "pdf_page",
    "pdf_texts",
    "locales",
    "typical_day",
    "error_times",
    "prostheses",
)
EFFECTS = {"asyncio", "clickhouse_driver", "fastapi", "starlette", "httpx", "structlog", "time", "uvicorn", "os", "socket"}


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def imports_of(module: Path) -> set[str]:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_import_nothing_that_does_something(module: str) -> None:
    assert not imports_of(PACKAGE / f"{module}.py") & EFFECTS


def test_sql_stands_in_the_repository_only() -> None:
    with_sql = {file.stem for file in PACKAGE.glob("*.py") if "SELECT" in file.read_text(encoding="utf-8")}
    assert with_sql == {"repository"}


def test_clickhouse_is_called_from_the_pool_only() -> None:
    assert {file.stem for file in PACKAGE.glob("*.py") if "clickhouse_driver" in imports_of(file)} == {"pool"}


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    clock = Clock()
    limiter = TokenBuckets(rate_per_s=2, burst=3, clock=clock)
    assert [limiter.take("a") for _ in range(3)] == [0.0] * 3
    assert limiter.take("a") == pytest.approx(0.5)
    assert limiter.take("b") == 0.0
    clock.now += 0.5
    assert limiter.take("a") == 0.0
    assert limiter.take("a") > 0


def test_the_rate_limiter_remembers_a_bounded_number_of_subjects() -> None:
    limiter = TokenBuckets(rate_per_s=1, burst=1, clock=Clock())
    for number in range(MOST_BUCKETS + 100):
        limiter.take(str(number))
    assert len(limiter._buckets) == MOST_BUCKETS


async def test_watermarks_are_read_once_for_many_and_again_when_old() -> None:
    clock, reads = Clock(), []

    async def read() -> Mapping[int, datetime]:
        reads.append(clock.now)
        await asyncio.sleep(0)
        return {7: datetime.fromtimestamp(clock.now, UTC)}

    cache = WatermarkCache(read, max_age_s=0.4, clock=clock)
    answers = await asyncio.gather(*(cache.get() for _ in range(20)))
    assert (len(reads), len(answers)) == (1, 20)
    clock.now += 0.3
    old = await cache.get()
    await asyncio.sleep(0.01)
    assert (len(reads), await cache.get() != old) == (2, True)
    clock.now += 10
    assert (await cache.get())[7] == datetime.fromtimestamp(clock.now, UTC)


def test_only_sound_signature_keys_are_taken() -> None:
    good, curve = RSAKey.generate_key(2048, auto_kid=True), ECKey.generate_key("P-256", auto_kid=True)
    secret, encryption = OctKey.generate_key(256, auto_kid=True), RSAKey.generate_key(2048, auto_kid=True)
    entries = [
        good.as_dict(private=False),
        curve.as_dict(private=False),
        secret.as_dict(private=True),
        encryption.as_dict(private=False) | {"use": "enc"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        good.as_dict(private=False) | {"kid": None},
        "nonsense",
    ]
    assert set(signature_keys({"keys": entries})) == {good.kid, curve.kid}
    with pytest.raises(ValueError, match="no list"):
        signature_keys({"keys": "x"})


@pytest.mark.parametrize("headers", [[], [""], ["Basic abc"], ["Bearer"], ["Bearer "], ["Bearer a", "Bearer b"]])
def test_no_token_is_found_where_there_is_not_exactly_one(headers: list[str]) -> None:
    with pytest.raises(InvalidTokenError):
        bearer_token(headers)


async def test_a_row_of_a_user_who_was_not_asked_for_is_an_error_and_not_an_answer() -> None:
    class LeakyStore:
        async def query(self, _sql: str, _parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
            return [(tuple(ROW),)]

    repository = ReportRepository(LeakyStore())
    with pytest.raises(ForeignRowError):
        await repository.days("somebody else", date(2026, 11, 1), date(2026, 11, 23))
    with pytest.raises(ForeignRowError):
        await repository.days_of_users(["somebody else"], date(2026, 11, 1), date(2026, 11, 23))


@given(st.text(max_size=50))
def test_no_text_cell_of_the_csv_begins_a_formula_and_all_of_it_is_kept(text: str) -> None:
    data = export_csv.render([ROW._replace(customer_name=text)], WATERMARKS).decode("utf-8-sig")
    (line,) = csv.DictReader(io.StringIO(data, newline=""))
    assert line["customer_name"].removeprefix("'") == text.removeprefix("'")
    assert not line["customer_name"].lstrip().startswith(("=", "+", "-", "@"))


def test_both_languages_have_the_same_texts_and_places() -> None:
    english, russian = TEXTS["en"], TEXTS["ru"]
    assert english.keys() == russian.keys()
    assert all(text.count("{") == russian[key].count("{") for key, text in english.items())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, (date(2026, 11, 17), date(2026, 11, 23))),
        ({"to": "2026-01-10"}, (date(2026, 1, 4), date(2026, 1, 10))),
        ({"from": "2026-11-01"}, (date(2026, 11, 1), date(2026, 11, 23))),
        ({"from": "2027-01-01"}, (date(2027, 1, 1), date(2027, 1, 1))),
        ({"from": "2024-01-01"}, (date(2024, 1, 1), date(2024, 12, 31))),
        ({"from": "2025-11-23", "to": "2026-11-23"}, (date(2025, 11, 23), date(2026, 11, 23))),
    ],
)
def test_open_ranges_end_today_and_never_exceed_their_bound(query: dict[str, str], expected: tuple[date, date]) -> None:
    assert RangeParameters.model_validate(query).days(date(2026, 11, 23), 7) == DayRange(*expected)


def test_a_range_of_367_days_is_refused() -> None:
    with pytest.raises(ProblemError):
        RangeParameters.model_validate({"from": "2025-11-22", "to": "2026-11-23"}).days(date(2026, 11, 23), 7)


def test_the_gate_looks_at_every_byte_of_the_head() -> None:
    scope = {"raw_path": b"/" + b"x" * 50, "query_string": b"", "headers": [(b"a", b"b" * 50)]}
    assert refuse(scope, 51, 51) is None
    assert [problem.status for problem in (refuse(scope, 50, 51), refuse(scope, 51, 50)) if problem] == [431, 414]


def test_an_event_is_one_line_a_field() -> None:
    assert frame("report", b"{}", "1") == b"event: report\nid: 1\ndata: {}\n\n"
    for data, identity in ((b"a\nb", None), (b"{}", "1\ndata: x"), (b"{}", "1\r")):
        with pytest.raises(ValueError, match="one line"):
            frame("report", data, identity)


def test_events_are_read_as_they_were_written() -> None:
    lines = (frame("report", b'{"a": 1}', "1") + frame("end", b"{}")).decode().splitlines()
    assert [*events(lines)] == [("report", '{"a": 1}', "1"), ("end", "{}", None)]
    assert [*events(["retry: 2000", "", ": comment", "data:a", "data: b", "", "event: unfinished", "data: c"])] == [
        ("message", "a\nb", None)
    ]
