"""What the page asks for beside reports, on a real ClickHouse and with the reader's rights: typical day, times of errors, prostheses."""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

from tests.support.days import today
from tests.support.reports_world import Service, new_user, owned, row

pytest_plugins = ["tests.support.reports_fixtures"]

START = datetime(today().year, today().month, today().day, tzinfo=UTC)
DAY = timedelta(days=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def prosthesis() -> str:
    """An id that no other test has."""
    return str(secrets.randbelow(1 << 60))


def quartiles(values: Sequence[int]) -> dict[str, int]:
    """The values of nearest rank: the least at or below which lies that share of all."""
    ranked = sorted(values)
    return {name: ranked[math.ceil(len(ranked) * share / 4) - 1] for name, share in (("q1", 1), ("median", 2), ("q3", 3))}


def random_hours(chance: random.Random) -> list[int]:
    return [chance.choice([0, chance.randrange(3_600_000)]) for _ in range(24)]


def test_the_typical_day_is_what_sorting_the_hours_of_the_complete_days_gives(service: Service) -> None:
    user, one, two, chance = new_user(), prosthesis(), prosthesis(), random.Random(16)
    days = [today() - i * DAY for i in range(1, 12)]
    hours = {(day, of): random_hours(chance) for day in days for of in ((one, two) if chance.random() < 0.5 else (one,))}
    service.mart.put(*(row(user, day, prosthesis_id=of, usage_ms_by_hour=ms, log_partition=50) for (day, of), ms in hours.items()))
    service.mart.put(row(user, today(), prosthesis_id=one, usage_ms_by_hour=[9_999_999] * 24, log_partition=50))
    service.mart.progress(START, partition=50)
    for wanted in (None, one, two):
        mine = {key: ms for key, ms in hours.items() if wanted in (None, key[1])}
        summed = {day: [sum(column) for column in zip(*(ms for (d, _), ms in mine.items() if d == day), strict=True)] for day, _ in mine}
        body = service.own(user, "/typical-day", params={"prosthesis_id": wanted} if wanted else None).json()
        assert (body["days"], body["prosthesis_id"], body["to"]) == (len(summed), wanted, today().isoformat())
        until = [list(accumulate(ms)) for ms in summed.values()]
        assert body["hours"] == [
            {"hour": i, "ms": quartiles([ms[i] for ms in summed.values()]), "until_ms": quartiles([ms[i] for ms in until])}
            for i in range(24)
        ]


def test_a_day_on_which_clocks_change_and_one_that_is_not_complete_are_no_typical_ones(service: Service) -> None:
    user = new_user()
    short, handled, waiting = (today() - i * DAY for i in (3, 2, 1))
    begins = START - 3 * DAY
    service.mart.put(
        row(user, short, day_starts_at=begins, day_ends_at=begins + timedelta(hours=23), usage_ms_by_hour=[1] * 23, log_partition=51),
        row(user, handled, usage_ms_by_hour=[2] * 24, log_partition=51),
        row(user, waiting, usage_ms_by_hour=[3] * 24, log_partition=51),
        row(user, waiting, prosthesis_id="18", usage_ms_by_hour=[3] * 24, log_partition=52),
    )
    service.mart.progress(START, partition=51)
    service.mart.progress(START - timedelta(seconds=1), partition=52)
    body = service.own(user, "/typical-day").json()
    assert (body["days"], body["hours"][5]["ms"]) == (1, {"q1": 2, "median": 2, "q3": 2})
    assert datetime.fromisoformat(body["as_of"]) == START - timedelta(seconds=1)


def test_without_complete_days_there_is_no_typical_day(service: Service) -> None:
    body = service.own(new_user(), "/typical-day").json()
    assert (body["days"], body["hours"], body["as_of"]) == (0, [], None)


def test_errors_are_told_with_their_times_and_only_of_the_time_that_the_wearer_owned(service: Service) -> None:
    before, after, of = new_user(), new_user(), prosthesis()
    noon = START + timedelta(hours=12)
    service.mart.own(of, owned(before, LONG_AGO, noon), owned(after, noon))
    events = [(number, START + timedelta(hours=number, microseconds=number), f"E{number}", 1 + number % 3) for number in (1, 2, 3, 13, 14)]
    service.mart.errors(of, *events)
    service.mart.errors(of, (3, events[2][1], "E3", 1), deleted=True)
    for user in (before, after):
        service.mart.put(row(user, today(), prosthesis_id=of, error_count=2, errors_by_code={"E": 2}))
    told = {user: service.own(user, f"/errors/{today()}").json() for user in (before, after)}
    assert [one["code"] for one in told[before]["occurrences"]] == ["E2", "E1"]
    assert [one["code"] for one in told[after]["occurrences"]] == ["E14", "E13"]
    first = told[before]["occurrences"][1]
    assert (datetime.fromisoformat(first["occurred_at"]), first["severity"], first["prosthesis_id"]) == (events[0][1], "warning", of)
    assert (told[before]["count"], told[before]["by_code"]) == (2, {"E": 2})


def test_what_was_erased_is_told_no_more_before_it_is_removed(service: Service) -> None:
    user, of = new_user(), prosthesis()
    service.mart.own(of, owned(user, LONG_AGO))
    service.mart.errors(of, *((hour, START + timedelta(hours=hour), f"E{hour}", 3) for hour in range(4)))
    service.mart.put(row(user, today(), prosthesis_id=of, error_count=2))
    service.mart.erase(of, START + timedelta(hours=1), START + timedelta(hours=3))
    assert [one["code"] for one in service.own(user, f"/errors/{today()}").json()["occurrences"]] == ["E3", "E0"]


def test_the_newest_500_errors_are_listed_and_all_are_counted(service: Service) -> None:
    user, of = new_user(), prosthesis()
    service.mart.own(of, owned(user, LONG_AGO))
    service.mart.errors(of, *((number, START + timedelta(seconds=number), "E1", 2) for number in range(510)))
    service.mart.put(row(user, today(), prosthesis_id=of, error_count=510, errors_by_code={"E1": 510}))
    body = service.own(user, f"/errors/{today()}").json()
    assert (body["count"], len(body["occurrences"])) == (510, 500)
    assert datetime.fromisoformat(body["occurrences"][-1]["occurred_at"]) == START + timedelta(seconds=10)


def test_a_day_without_reports_has_no_errors(service: Service) -> None:
    body = service.own(new_user(), f"/errors/{today()}").json()
    assert (body["count"], body["occurrences"], body["timezone"], body["as_of"]) == (0, [], None, None)


def test_a_wearer_sees_present_and_former_prostheses_and_the_newest_document_counts(service: Service) -> None:
    user, other, now, former = new_user(), new_user(), prosthesis(), prosthesis()
    service.mart.own(now, owned(other, LONG_AGO), offset=1)
    service.mart.own(now, owned(other, LONG_AGO, LONG_AGO + 300 * DAY), owned(user, LONG_AGO + 400 * DAY, contract_number="C-9"), offset=2)
    service.mart.own(former, owned(user, LONG_AGO, LONG_AGO + 100 * DAY))
    service.mart.put(row(user, today() - 3 * DAY, prosthesis_id=now))
    body = service.own(user, "/prostheses").json()
    present, past = body["items"]
    assert (present["prosthesis_id"], present["current"], present["serial_number"]) == (now, True, f"SN-{now}")
    assert datetime.fromisoformat(present["since"]) == LONG_AGO + 400 * DAY
    assert [period["contract_number"] for period in present["periods"]] == ["C-9"]
    assert present["last_report_date"] == (today() - 3 * DAY).isoformat()
    assert (past["prosthesis_id"], past["current"], past["last_report_date"]) == (former, False, None)
    assert len(service.own(other, "/prostheses").json()["items"]) == 1


def test_a_wearer_who_has_no_report_yet_has_the_time_zone_of_the_crm(service: Service) -> None:
    user = new_user()
    service.mart.own(prosthesis(), owned(user, LONG_AGO, timezone="Pacific/Kiritimati"))
    body = service.own(user, "/today").json()
    assert (body["timezone"], body["report_date"]) == ("Pacific/Kiritimati", (datetime.now(UTC) + timedelta(hours=14)).date().isoformat())
    assert service.own(user, "/prostheses").json()["timezone"] == "Pacific/Kiritimati"


def test_where_today_has_no_report_the_last_known_day_is_told(service: Service) -> None:
    user = new_user()
    last: date = today() - 40 * DAY
    service.mart.put(row(user, last), row(user, last, prosthesis_id="18"), row(user, last - DAY))
    body = service.own(user, "/today").json()
    assert [(report["report_date"], report["prosthesis_id"]) for report in body["last_known"]] == [
        (last.isoformat(), "17"),
        (last.isoformat(), "18"),
    ]
    assert body["items"] == []
