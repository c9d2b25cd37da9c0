"""What a wearer sees, in a real browser, with everything behind it real: Keycloak, the pipe from PostgreSQL, the services."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from simulator.demo_data import CUSTOMERS, DemoCustomer
from tests.e2e.person import SETTLED_MS, Person
from tests.e2e.site import TWO_PROSTHESES, DayNumbers, Site, last_days, today_in

CUSTOMER = {customer.user.login: customer for customer in CUSTOMERS}
PASSED_ON, FIRST_OWNER, LATER_OWNER = "BH3-0007", CUSTOMER["lukas.weber"], CUSTOMER["mia.alvarez"]


@dataclass(frozen=True)
class Event:
    """What a device sends, and what it adds to its day."""

    kind: str
    values: dict[str, Any]
    adds: dict[str, int] = field(default_factory=dict)

    def after(self, day: DayNumbers) -> DayNumbers:
        more = {"events": 1} | self.adds
        return replace(day, **{name: getattr(day, name) + count for name, count in more.items()})


RECOGNISED = Event(
    "signal",
    {"amplitude_uv": 321, "movement_recognised": True, "active_ms": 4321},
    {"usage_ms": 4321, "signals": 1, "recognised": 1},
)
EVENTS = {
    "recognised-signal": RECOGNISED,
    "unrecognised-signal": Event("signal", {"amplitude_uv": 12, "movement_recognised": False, "active_ms": 0}, {"signals": 1}),
    "error": Event("error", {"error_code": "E2E-1", "error_severity": "critical"}, {"errors": 1}),
    "battery": Event("battery", {"battery_percent": 7}),
    "location": Event("location", {"latitude": 55.75, "longitude": 37.61}),
}


def begun(site: Site, customer: DemoCustomer) -> DemoCustomer:
    """Each of the customer's prostheses has sent something today, whatever the hour is there."""
    for prosthesis in site.held_by(customer):
        site.device_sends(prosthesis, RECOGNISED.kind, **RECOGNISED.values)
    return customer


@pytest.fixture
def wearer(site: Site) -> DemoCustomer:
    """Somebody with one prosthesis, awake, whose day has begun."""
    return begun(site, site.wearer_at_midday())


def test_a_wearer_logs_in_through_keycloak_and_sees_the_numbers_of_today(person: Person, site: Site, wearer: DemoCustomer) -> None:
    (prosthesis,) = site.held_by(wearer)
    person.log_in(wearer)
    person.sees_day(prosthesis, site.numbers(prosthesis, wearer.timezone))
    expect(person.cards()).to_have_count(1)
    expect(person.page.get_by_role("banner")).to_contain_text(wearer.user.full_name)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_an_event_inserted_into_postgresql_changes_the_open_page_by_exactly_its_effect(
    person: Person, site: Site, wearer: DemoCustomer, event: Event
) -> None:
    (prosthesis,) = site.held_by(wearer)
    before = site.numbers(prosthesis, wearer.timezone)
    person.log_in(wearer)
    person.sees_day(prosthesis, before)
    person.page.evaluate("window.notReloaded = true")
    site.device_sends(prosthesis, event.kind, **event.values)
    after = event.after(before)
    person.sees_day(prosthesis, after)
    shown = person.card(prosthesis).get_by_test_id("today-efficiency").get_attribute("data-value")
    assert float(str(shown)) == pytest.approx(after.recognised / after.signals, abs=1e-6)
    if event.kind == "battery":
        person.sees(prosthesis, "today-battery", event.values["battery_percent"])
    assert person.page.evaluate("window.notReloaded") is True


def test_a_wearer_of_two_prostheses_sees_a_card_for_each_with_its_own_numbers(person: Person, site: Site) -> None:
    emily = begun(site, CUSTOMER[TWO_PROSTHESES])
    hand, knee = site.held_by(emily)
    site.device_sends(hand, "error", error_code="E2E-2", error_severity="warning")
    person.log_in(emily)
    for prosthesis in (hand, knee):
        person.sees_day(prosthesis, site.numbers(prosthesis, emily.timezone))
    expect(person.cards()).to_have_count(2)


def test_a_prosthesis_that_was_passed_on_shows_each_owner_their_own_days_only(somebody: Callable[[], Person], site: Site) -> None:
    passed_on = site.prosthesis(PASSED_ON)
    first, later = somebody(), somebody()
    first.log_in(begun(site, FIRST_OWNER))
    later.log_in(begun(site, LATER_OWNER))
    later.sees_day(passed_on, site.numbers(passed_on, LATER_OWNER.timezone))
    expect(first.cards()).to_have_count(1)
    expect(first.card(passed_on)).to_have_count(0)
    days_of_first, days_of_later = days_of(first.exports_csv(90), passed_on), days_of(later.exports_csv(90), passed_on)
    assert days_of_first
    assert days_of_later
    assert max(days_of_first) < min(days_of_later)
    assert max(days_of_later) == today_in(LATER_OWNER.timezone)


def test_history_shows_seven_days_newest_first_as_postgresql_counts_them(person: Person, site: Site, wearer: DemoCustomer) -> None:
    (prosthesis,) = site.held_by(wearer)
    person.log_in(wearer)
    person.turns_to("history")
    rows = person.page.get_by_test_id("history-row")
    expect(rows).to_have_count(7, timeout=SETTLED_MS)
    days = last_days(wearer.timezone, 7)
    assert [row.get_attribute("data-date") for row in rows.all()] == [str(day) for day in days]
    for row, day in zip(rows.all(), days, strict=True):
        counted = site.numbers(prosthesis, wearer.timezone, day)
        if counted.events == 0:  # a day on which the device was not worn
            expect(row.get_by_test_id("history-none")).to_be_visible(timeout=SETTLED_MS)
        else:
            expect(row.get_by_test_id("history-usage")).to_have_attribute("data-value", str(counted.usage_ms), timeout=SETTLED_MS)


def test_the_exported_table_holds_the_wearers_days_as_postgresql_counts_them(person: Person, site: Site, wearer: DemoCustomer) -> None:
    (prosthesis,) = site.held_by(wearer)
    person.log_in(wearer)
    person.sees_day(prosthesis, site.numbers(prosthesis, wearer.timezone))
    exported = rows_of(person.exports_csv(7))
    assert {row["prosthesis_id"] for row in exported} == {str(prosthesis)}
    assert {row["customer_name"] for row in exported} == {wearer.user.full_name}
    counted = {day: site.numbers(prosthesis, wearer.timezone, day) for day in last_days(wearer.timezone, 7)}
    assert {date.fromisoformat(row["report_date"]): (int(row["event_count"]), int(row["usage_ms"])) for row in exported} == {
        day: (numbers.events, numbers.usage_ms) for day, numbers in counted.items() if numbers.events
    }


def test_the_summary_is_a_pdf(person: Person, wearer: DemoCustomer) -> None:
    person.log_in(wearer)
    person.turns_to("export")
    with person.page.expect_download() as download:
        person.page.get_by_test_id("export-pdf").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")


def test_the_language_can_be_changed_and_is_remembered(person: Person, wearer: DemoCustomer) -> None:
    person.log_in(wearer)
    leave = person.page.get_by_test_id("logout")
    expect(leave).to_have_text("Log out")
    person.page.get_by_test_id("language-ru").click()
    expect(leave).to_have_text("Выйти")
    assert person.page.evaluate("document.documentElement.lang") == "ru"
    person.page.reload()
    expect(leave).to_have_text("Выйти", timeout=SETTLED_MS)
    person.page.get_by_test_id("language-en").click()
    expect(leave).to_have_text("Log out")


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))


def days_of(file: Path, prosthesis: int) -> list[date]:
    return [date.fromisoformat(row["report_date"]) for row in rows_of(file) if row["prosthesis_id"] == str(prosthesis)]
