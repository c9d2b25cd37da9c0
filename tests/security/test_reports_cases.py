"""Cases 25, 26, 28, 29 and 30 at the reports service, with the reader's rights on a real ClickHouse."""

from __future__ import annotations

import csv
import io
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx
import pytest
from clickhouse_driver import Client, errors

from tests.support.days import today
from tests.support.reports_world import Issuer, Mart, Service, new_user, owned, process, row, running
from tests.support.waiting import PATIENCE_S

pytest_plugins = ["tests.support.reports_fixtures"]

INJECTIONS = [
    "' OR 1=1 --",
    "x' UNION ALL SELECT * FROM bionicpro.user_daily_reports --",
    "x']), first = '1900-01-01', last = '2100-01-01') --",
    "\\'; DROP TABLE x; --",
    "{user:String}",
    "%(user)s",
    "%00",
    "17'",
]
FORMULAS = ['=cmd|"/c calc"!A1', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", '"=1', '=HYPERLINK("http://evil.example")']

DENIALS = {164, 344, 392, 452, 497}
"""READONLY, SUPPORT_IS_DISABLED, QUERY_IS_PROHIBITED, SETTING_CONSTRAINT_VIOLATION, ACCESS_DENIED."""


def assert_problem(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"].startswith("urn:bionicpro:problem:")


def test_26_two_users_in_a_thousand_interleaved_calls_see_no_row_of_each_other(mart: Mart, issuer: Issuer) -> None:
    users = [new_user(), new_user()]
    for user in users:
        mart.put(*(row(user, today() - timedelta(days=i), customer_name=user, version=i + 1) for i in range(3)))
    paths = ["", "/today", f"/summary?to={today()}", f"/hours/{today()}", f"/export.csv?to={today()}"]
    tokens = {user: issuer.token(user) for user in users}
    # One query a call: watermarks are shared as they are in production.
    with running(mart, issuer, watermark_max_age_s=0.4) as service:

        def ask(number: int) -> tuple[str, str]:
            user = users[number % 2]
            answer = service.with_token(f"/reports/{user}{paths[number // 2 % len(paths)]}", tokens[user])
            assert answer.status_code == 200, answer.text
            return user, answer.text

        with ThreadPoolExecutor(8) as threads:
            for user, text in threads.map(ask, range(1000)):
                assert user in text
                assert users[1 - users.index(user)] not in text


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("parameter", ["from", "to", "prosthesis_id", "cursor", "limit", "lang"])
def test_28_sql_in_a_parameter_is_refused(service: Service, parameter: str, text: str) -> None:
    user = new_user()
    path = "/export.pdf" if parameter == "lang" else ""
    assert_problem(service.own(user, path, params={parameter: text}), 422)


@pytest.mark.parametrize("text", INJECTIONS)
def test_28_sql_in_a_path_or_a_subject_finds_nothing(service: Service, text: str) -> None:
    user = new_user()
    service.mart.put(row(user, today()))
    assert_problem(service.own(user, f"/hours/{quote(text, safe='')}"), 404, 422)
    # Even a subject that the identity provider would vouch for is only ever a value.
    answer = service.with_token(f"/reports/{quote(text, safe='')}", service.issuer.token(text))
    assert answer.status_code == 404 or answer.json()["items"] == []
    answer = service.as_support(f"/users/{quote(text, safe='')}/today")
    assert answer.status_code == 404 or answer.json()["items"] == []


@pytest.mark.parametrize("text", FORMULAS)
def test_28_a_formula_as_a_name_is_inert_in_every_text_column_of_the_csv(service: Service, text: str) -> None:
    user = new_user()
    service.mart.put(
        row(
            user,
            today(),
            customer_name=text,
            contract_number=text,
            prosthesis_model=text,
            prosthesis_serial_number=text,
            errors_by_code={text: 1},
        )
    )
    (line,) = csv.DictReader(io.StringIO(service.own(user, "/export.csv").content.decode("utf-8-sig"), newline=""))
    for column in ("customer_name", "contract_number", "prosthesis_model", "prosthesis_serial_number", "errors_by_code"):
        assert line[column].lstrip('"')[:1] not in tuple("=+-@\t\r\n＝＋－＠ ") or text.startswith('"'), (column, line[column])
        assert text in line[column] or text.strip() in line[column]


def test_28_markup_in_a_name_is_drawn_and_not_followed(service: Service) -> None:
    user = new_user()
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.settimeout(0.5)
        name = f'<img src="http://127.0.0.1:{trap.getsockname()[1]}/x.png"/> <b>Anna</b>'
        service.mart.put(row(user, today(), customer_name=name))
        assert service.own(user, "/export.pdf").content.startswith(b"%PDF")
        with pytest.raises(TimeoutError):
            trap.accept()


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-13-01"},
        {"from": "yesterday"},
        {"from": "2026-11-23", "to": "2026-11-22"},
        {"from": "2020-01-01", "to": "2026-01-01"},
        {"from": "0001-01-01"},
        {"to": "9999-12-31"},
        {"limit": "101"},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "1e9"},
        {"cursor": "AAAA"},
        {"cursor": "x" * 300},
        {"prosthesis_id": "9" * 100},
        {"unknown": "1"},
    ],
    ids=str,
)
def test_29_values_out_of_bounds_are_422_and_are_not_repeated_to_the_caller(service: Service, query: dict[str, str]) -> None:
    answer = service.own(new_user(), params=query)
    assert_problem(answer, 422)
    assert answer.json()["errors"]
    assert "9" * 50 not in answer.text


def test_29_heads_addresses_and_bodies_that_are_too_long_are_problems(service: Service) -> None:
    user = new_user()
    assert_problem(service.own(user, headers={"X-Long": "x" * 20_000}), 431)
    assert_problem(service.own(user, params={"cursor": "x" * 5_000}), 414)
    token = service.issuer.token(user)
    request = service.client.build_request("GET", f"/reports/{user}", headers={"Authorization": f"Bearer {token}"}, content=b"x" * 1000)
    assert_problem(service.client.send(request), 413)


def test_29_other_methods_are_problems(service: Service) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert_problem(service.client.request(method, f"/reports/{new_user()}"), 405)


def test_29_one_subject_is_slowed_down_and_others_are_not(mart: Mart, issuer: Issuer) -> None:
    with running(mart, issuer, rate_per_s=0.1, rate_burst=3) as service:
        user = new_user()
        assert [service.own(user, "/today").status_code for _ in range(3)] == [200] * 3
        refused = service.own(user, "/today")
        assert_problem(refused, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert service.own(new_user(), "/today").status_code == 200


def test_every_answer_carries_the_security_headers(service: Service) -> None:
    user = new_user()
    for answer in (service.own(user), service.own("x", "/nothing"), service.client.get("/health/live"), service.client.get("/nothing")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_25_no_token_is_in_the_log_of_a_running_service(mart: Mart, issuer: Issuer) -> None:
    with running(mart, issuer) as service:
        settings, user = service.settings, new_user()
        token = issuer.token(user)
        with process(settings) as (url, started):
            for sent in (token, token + "x", "eyJnonsense"):
                for path in (f"/reports/{user}/today", f"/reports/{user}?cursor={sent}", "/reports/other", "/nothing"):
                    service.client.get(url + path, headers={"Authorization": f"Bearer {sent}"})
            service.client.get(f"{url}/reports/{user}/today", headers={"Authorization": f"Bearer {token}", "X-Long": "x" * 20_000})
            started.terminate()
            _, log = started.communicate(timeout=PATIENCE_S)
        assert '"event": "request"' in log
        assert '"event": "access refused"' in log
        assert "eyJ" not in log
        assert settings.clickhouse.password.get_secret_value() not in log


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO bionicpro_g1.user_daily_reports (user_id) VALUES ('x')",
        "INSERT INTO bionicpro.user_daily_reports (user_id) VALUES ('x')",
        "CREATE TABLE bionicpro.x (a UInt8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE x (a UInt8)",
        "DROP VIEW bionicpro.user_daily_reports",
        "ALTER TABLE bionicpro_g1.user_daily_reports DELETE WHERE 1",
        "TRUNCATE TABLE bionicpro_g1.user_daily_reports",
        "SELECT * FROM bionicpro_g1.user_daily_reports",
        "SELECT * FROM bionicpro.user_daily_reports",
        "SELECT user_id FROM bionicpro.user_daily_reports",
        "SELECT * FROM bionicpro_g1.telemetry_events",
        "SELECT * FROM bionicpro_g1.report_state",
        "SELECT * FROM system.query_log",
        "SELECT * FROM system.users",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', bionicpro_g1.report_state)",
        "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM executable('x.sh', 'CSV', 'a String')",
        "SET max_execution_time = 1000",
        "SET readonly = 0",
        "SELECT 1 SETTINGS max_rows_to_read = 0",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
        "CREATE USER x",
        "GRANT ALL ON *.* TO reader",
    ],
)
def test_30_the_services_account_can_only_read_its_views(mart: Mart, query: str) -> None:
    mart.migrator.execute("SYSTEM FLUSH LOGS")  # the table of the log is made at the first flush
    reader = Client(**mart.endpoint.client("reader"))
    try:
        assert reader.execute("SELECT count() FROM bionicpro.partition_progress") is not None
        with pytest.raises(errors.ServerException) as refused:
            reader.execute(query)
        assert refused.value.code in DENIALS, refused.value.message[:200]
    finally:
        reader.disconnect()


BESIDE = {
    "errors_of_users": "(users = {users}, first = '2000-01-01', last = '2299-12-31', most = 9)",
    "prostheses_of_users": "(users = {users})",
    "typical_day_of_users": "(users = {users}, first = '2000-01-01', last = '2299-12-31', prosthesis = '', partitions = [7], until = [4000000000])",
}


@pytest.mark.parametrize("view", BESIDE)
def test_21_no_view_beside_reports_gives_a_row_of_anybody_who_was_not_named(mart: Mart, view: str) -> None:
    mine, other, of = new_user(), new_user(), str(time.time_ns())
    noon = datetime(today().year, today().month, today().day, 12, tzinfo=UTC)
    mart.own(of, owned(mine, noon - timedelta(days=99), noon), owned(other, noon))
    mart.errors(of, (1, noon - timedelta(hours=1), "E1", 1), (2, noon + timedelta(hours=1), "E2", 1))
    mart.put(*(row(user, today(), prosthesis_id=of, error_count=1) for user in (mine, other)))
    reader = Client(**mart.endpoint.client("reader"))
    try:
        for condition in ("1", f"report.1 = '{other}' OR 1"):
            rows = reader.execute(f"SELECT DISTINCT report.1 FROM bionicpro.{view}{BESIDE[view].format(users=[mine])} WHERE {condition}")
            assert rows == [(mine,)]
        assert reader.execute(f"SELECT report.1 FROM bionicpro.{view}{BESIDE[view].format(users=['%', ''])}") == []
        for widened in ("", BESIDE[view].format(users="(SELECT groupArray(user_id) FROM bionicpro_g1.user_daily_reports)")):
            with pytest.raises(errors.ServerException):
                reader.execute(f"SELECT * FROM bionicpro.{view}{widened}")
    finally:
        reader.disconnect()


DAYS = "first = '2000-01-01', last = '2299-12-31'"


@pytest.mark.parametrize("view", ["reports_of_users", "report_versions_of_users"])
@pytest.mark.parametrize(
    "asked",
    [
        "",
        f"({DAYS})",
        f"(users = (SELECT groupArray(user_id) FROM bionicpro_g1.user_daily_reports), {DAYS})",
        f"(users = (SELECT groupArray(user_id) FROM bionicpro.user_daily_reports), {DAYS})",
        f"(users = ['%'] OR 1, {DAYS})",
        f"(users = {{stranger:String}}, {DAYS})",
    ],
)
def test_21_the_services_account_sees_no_rows_without_naming_their_users(mart: Mart, view: str, asked: str) -> None:
    """The second wall: whatever the service's SQL forgets, the server gives nobody's rows but those of the users named."""
    mart.put(row(new_user(), today()))
    reader = Client(**mart.endpoint.client("reader"))
    try:
        for answer in ("report", "*", "count()"):
            with pytest.raises(errors.ServerException):
                reader.execute(f"SELECT {answer} FROM bionicpro.{view}{asked}")
    finally:
        reader.disconnect()


@pytest.mark.parametrize("view", ["reports_of_users", "report_versions_of_users"])
def test_21_no_condition_widens_what_the_named_users_own(mart: Mart, view: str) -> None:
    mine, other = new_user(), new_user()
    mart.put(row(mine, today()), row(other, today()))
    reader = Client(**mart.endpoint.client("reader"))
    try:
        for condition in ("1", f"report.1 = '{other}' OR 1", "report.1 LIKE '%'"):
            rows = reader.execute(f"SELECT report.1 FROM bionicpro.{view}(users = ['{mine}'], {DAYS}) WHERE {condition}")
            assert rows == [(mine,)]
        assert reader.execute(f"SELECT report.1 FROM bionicpro.{view}(users = ['%', '', '{mine[:8]}%'], {DAYS})") == []
    finally:
        reader.disconnect()


def test_30_an_account_without_the_right_to_the_views_does_not_get_past_them(mart: Mart) -> None:
    user = new_user()
    mart.put(row(user, today()))
    writer = Client(**mart.endpoint.client("writer"))
    try:
        for view in ("reports_of_users", "report_versions_of_users"):
            with pytest.raises(errors.ServerException) as refused:
                writer.execute(f"SELECT report FROM bionicpro.{view}(users = ['{user}'], {DAYS})")
            assert refused.value.code in DENIALS
    finally:
        writer.disconnect()
