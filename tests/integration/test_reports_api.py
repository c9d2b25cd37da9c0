"""The endpoints against a real ClickHouse, read with the reader's rights."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import printed
from tests.support.days import today
from tests.support.reports_world import Mart, Service, new_user, row

pytest_plugins = ["tests.support.reports_fixtures"]

GRANULE = 256


def days_back(user: str, count: int, **changes: object) -> list:
    return [row(user, today() - timedelta(days=i), version=1000 + i, **changes) for i in range(count)]


def walk(service: Service, user: str, **query: object) -> list[tuple[str, str]]:
    """The (day, prosthesis) of every item of every page, in order."""
    seen: list[tuple[str, str]] = []
    cursor: str | None = None
    for _ in range(2000):
        page = service.own(user, params={**query, **({"cursor": cursor} if cursor else {})}).json()
        seen += [(item["report_date"], item["prosthesis_id"]) for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return seen
    raise AssertionError("the pages do not end")


def test_a_mart_row_becomes_a_report_with_units_and_derived_numbers(service: Service) -> None:
    user = new_user()
    service.mart.put(row(user, today()))
    as_of = datetime.now(UTC).replace(microsecond=0)
    service.mart.progress(as_of)
    body = service.own(user, "/today").json()
    (report,) = body["items"]
    assert body["user_id"] == user
    assert body["report_date"] == today().isoformat()
    assert datetime.fromisoformat(body["as_of"]) == as_of
    assert body["freshness_ms"] >= 0
    assert body["units"]["duration"] == "ms"
    assert report["signals"]["efficiency"] == 0.93
    assert report["signals"]["amplitude_uv"] == {"min": 35, "max": 4100, "mean": 812.0}
    assert report["battery"]["drain_percent"] == 46.0
    assert report["location"] == {"latitude": 55.7, "longitude": 37.6, "precision_degrees": 0.1}
    assert len(report["usage"]["by_hour"]) == 24
    assert sum(hour["ms"] for hour in report["usage"]["by_hour"]) == report["usage"]["total_ms"]
    assert report["complete"] is False


def test_a_day_is_complete_once_its_partition_is_handled_past_its_end(service: Service) -> None:
    user = new_user()
    yesterday = today() - timedelta(days=1)
    end = datetime(today().year, today().month, today().day, tzinfo=UTC)
    service.mart.put(row(user, yesterday, log_partition=40))
    service.mart.progress(end - timedelta(milliseconds=1), partition=40)
    assert service.own(user).json()["items"][0]["complete"] is False
    service.mart.progress(end, partition=40)
    assert service.own(user).json()["items"][0]["complete"] is True


def test_as_of_is_that_of_the_slowest_partition_and_unknown_where_one_is(service: Service) -> None:
    user, now = new_user(), datetime.now(UTC).replace(microsecond=0)
    service.mart.put(row(user, today(), prosthesis_id="1", log_partition=41), row(user, today(), prosthesis_id="2", log_partition=42))
    service.mart.progress(now, partition=41)
    assert service.own(user, "/today").json()["as_of"] is None
    service.mart.progress(now - timedelta(minutes=5), partition=42)
    assert datetime.fromisoformat(service.own(user, "/today").json()["as_of"]) == now - timedelta(minutes=5)


def test_a_tombstone_takes_the_report_away_and_the_newest_version_wins(service: Service) -> None:
    user = new_user()
    service.mart.put(row(user, today(), version=10, usage_ms=1), row(user, today(), version=12, usage_ms=3))
    service.mart.put(row(user, today(), version=11, usage_ms=2))
    assert service.own(user, "/today").json()["items"][0]["usage"]["total_ms"] == 3
    service.mart.put(row(user, today(), version=13), deleted=True)
    assert service.own(user, "/today").json()["items"] == []


def test_today_is_the_wearers_own_calendar_date(service: Service) -> None:
    user = new_user()
    for zone, offset in (("Pacific/Kiritimati", 14), ("Pacific/Pago_Pago", -11)):
        local = (datetime.now(UTC) + timedelta(hours=offset)).date()
        service.mart.put(
            row(user, local, timezone=zone, version=100 + offset), row(user, local - timedelta(days=1), timezone=zone, version=50 + offset)
        )
        body = service.own(user, "/today").json()
        assert (body["timezone"], body["report_date"]) == (zone, local.isoformat())
        assert [item["report_date"] for item in body["items"]] == [local.isoformat()]
        user = new_user()


def test_a_wearer_without_events_today_keeps_time_zone_and_as_of_of_the_last_day(service: Service) -> None:
    user, now = new_user(), datetime.now(UTC).replace(microsecond=0)
    service.mart.put(row(user, today() - timedelta(days=90), timezone="Asia/Tokyo", log_partition=43))
    service.mart.progress(now, partition=43)
    body = service.own(user, "/today").json()
    assert body["items"] == []
    assert body["timezone"] == "Asia/Tokyo"
    assert datetime.fromisoformat(body["as_of"]) == now


def test_a_user_nobody_knows_gets_empty_answers_not_errors(service: Service) -> None:
    user = new_user()
    for rest in ("", "/today", "/summary", f"/hours/{today()}"):
        answer = service.own(user, rest)
        assert answer.status_code == 200, answer.text
        assert answer.json()["as_of"] is None
    assert service.own(user, "/export.pdf").content.startswith(b"%PDF")
    assert len(service.own(user, "/export.csv").text.splitlines()) == 1


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.sets(st.tuples(st.integers(0, 365), st.sampled_from(["9", "10", "17", "ab"])), max_size=60),
    limit=st.integers(1, 100),
    span=st.integers(1, 366),
)
def test_cursor_pages_cover_exactly_everything_once(service: Service, rows: set[tuple[int, str]], limit: int, span: int) -> None:
    user, first = new_user(), today() - timedelta(days=span - 1)
    if rows:
        service.mart.put(*(row(user, today() - timedelta(days=back), prosthesis_id=name) for back, name in rows))
    expected = sorted(((today() - timedelta(days=back)).isoformat(), name) for back, name in rows if back < span)
    seen = walk(service, user, **{"from": first.isoformat(), "to": today().isoformat(), "limit": limit})
    assert sorted(seen) == expected
    assert seen == sorted(sorted(seen, key=lambda item: item[1]), key=lambda item: item[0], reverse=True)


def test_a_page_can_be_of_one_prosthesis(service: Service) -> None:
    user = new_user()
    service.mart.put(*days_back(user, 40, prosthesis_id="1"), *days_back(user, 40, prosthesis_id="2"))
    seen = walk(service, user, **{"from": str(today() - timedelta(days=39)), "limit": 7, "prosthesis_id": "2"})
    assert len(seen) == 40
    assert {name for _, name in seen} == {"2"}


def test_a_request_reads_at_most_two_granules_more_than_it_answers(service: Service) -> None:
    users = sorted(new_user() for _ in range(40))
    for user in users:
        service.mart.put(*days_back(user, 366))
    service.mart.merge()
    user = users[17]
    service.own(user, "/today")
    service.own(user, f"/hours/{today() - timedelta(days=200)}")
    service.own(user, params={"from": str(today() - timedelta(days=365)), "limit": 100})
    service.own(user, params={"from": str(today() - timedelta(days=300)), "to": str(today() - timedelta(days=200)), "limit": 31})
    service.own(user, "/summary", params={"from": str(today() - timedelta(days=29)), "to": str(today())})
    reads = service.mart.reads_of(user)
    assert len(reads) == 5, reads
    for read, answered in reads:
        assert read <= answered + 2 * GRANULE, reads


def test_the_summary_compares_a_range_with_the_one_before_it(service: Service) -> None:
    user = new_user()
    service.mart.put(*(row(user, today() - timedelta(days=i), usage_ms=2000 if i < 7 else 1000) for i in range(14)))
    body = service.own(user, "/summary").json()
    assert (body["current"]["from"], body["current"]["to"]) == (str(today() - timedelta(days=6)), str(today()))
    assert (body["previous"]["from"], body["previous"]["to"]) == (str(today() - timedelta(days=13)), str(today() - timedelta(days=7)))
    assert body["current"]["usage"] == {"total_ms": 14_000, "mean_ms_per_day": 2000.0}
    assert body["change"]["usage_per_day_ratio"] == 1.0
    assert body["change"]["efficiency_difference"] == 0.0


def test_a_summary_can_be_of_one_prosthesis(service: Service) -> None:
    user = new_user()
    service.mart.put(row(user, today(), prosthesis_id="1", usage_ms=1000), row(user, today(), prosthesis_id="2", usage_ms=3000))
    of_all = service.own(user, "/summary").json()
    of_one = service.own(user, "/summary", params={"prosthesis_id": "2"})
    assert (of_all["prosthesis_id"], of_all["current"]["usage"]["total_ms"]) == (None, 4000)
    assert (of_one.json()["prosthesis_id"], of_one.json()["current"]["usage"]["total_ms"]) == ("2", 3000)
    assert of_one.json()["current"]["prosthesis_ids"] == ["2"]


def test_hours_add_up_over_prostheses(service: Service) -> None:
    user = new_user()
    service.mart.put(row(user, today(), prosthesis_id="1"), row(user, today(), prosthesis_id="2"))
    body = service.own(user, f"/hours/{today()}").json()
    assert len(body["hours"]) == 24
    assert body["hours"][10]["by_prosthesis"] == {"1": 1_000_000, "2": 1_000_000}
    assert sum(hour["ms"] for hour in body["hours"]) == body["total_ms"] == 18_000_000


@pytest.mark.parametrize("rest", ["", "/today", "/summary", f"/hours/{today()}"])
def test_an_etag_holds_while_versions_hold_and_changes_with_them(service: Service, rest: str) -> None:
    user = new_user()
    service.mart.put(row(user, today(), version=5))
    tag = service.own(user, rest).headers["etag"]
    again = service.own(user, rest, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    service.mart.put(row(user, today(), version=6))
    changed = service.own(user, rest, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_two_users_with_the_same_versions_have_different_etags(service: Service) -> None:
    tags = set()
    for user in (new_user(), new_user()):
        service.mart.put(row(user, today(), version=5))
        tags.add(service.own(user, "/today").headers["etag"])
    assert len(tags) == 2


def test_the_csv_holds_every_report_of_the_range(service: Service) -> None:
    user = new_user()
    service.mart.put(*days_back(user, 31))
    answer = service.own(user, "/export.csv")
    assert answer.headers["content-disposition"].startswith("attachment;")
    lines = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [line["report_date"] for line in lines] == [str(today() - timedelta(days=i)) for i in range(31)]
    assert lines[0]["customer_name"] == "Анна Петрова"
    assert lines[0]["usage_ms"] == "9000000"


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_pdf_is_one_page(service: Service, language: str) -> None:
    user = new_user()
    service.mart.put(*days_back(user, 60))
    answer = service.own(user, "/export.pdf", params={"lang": language})
    assert answer.headers["content-type"] == "application/pdf"
    assert printed.read(answer.content).pages == 1


def test_default_ranges_end_at_the_wearers_today(service: Service) -> None:
    user = new_user()
    local = (datetime.now(UTC) + timedelta(hours=14)).date()
    service.mart.put(row(user, local, timezone="Pacific/Kiritimati"))
    assert service.own(user, "/summary").json()["current"]["to"] == local.isoformat()
    assert len(service.own(user).json()["items"]) == 1


def test_support_reads_any_user_and_each_access_is_audited(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    user = new_user()
    service.mart.put(row(user, today()))
    answer = service.as_support(f"/users/{user}/today", subject="sofia")
    assert answer.json()["items"][0]["customer_name"] == "Анна Петрова"
    lines = [line for line in capsys.readouterr().out.splitlines() if "support access" in line]
    assert len(lines) == 1
    assert user in lines[0]
    assert "sofia" in lines[0]


def test_health_needs_no_token_and_metrics_know_no_users(service: Service) -> None:
    user = new_user()
    service.own(user, "/today")
    assert service.client.get("/health/live").json() == {"status": "ok", "checks": {}}
    assert service.client.get("/health/ready").json()["checks"] == {"clickhouse": "ok", "keys": "ok"}
    text = service.client.get("/metrics").text
    assert 'route="/reports/{user_id}/today",status="200"' in text
    assert user not in text


def test_a_day_of_25_hours_has_25_of_them(service: Service, mart: Mart) -> None:
    user, day = new_user(), date(2026, 10, 25)
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    mart.put(
        row(
            user,
            day,
            timezone="Europe/Berlin",
            day_starts_at=start,
            day_ends_at=start + timedelta(hours=25),
            usage_ms_by_hour=[1] * 25,
            usage_ms=25,
        )
    )
    body = service.own(user, f"/hours/{day}").json()
    assert len(body["hours"]) == 25
    assert body["hours"][24]["starts_at"] == "2026-10-25T22:00:00Z"
