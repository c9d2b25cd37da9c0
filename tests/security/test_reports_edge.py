"""The outermost layer of the reports service, and what one caller may take of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from reports_api.settings import ReportsSettings
from service_kit import support_access
from service_kit.shares import Share
from tests.support.days import today
from tests.support.raw_http import RawAnswer, exchanged, request
from tests.support.reports_world import Issuer, Mart, Service, new_user, row, running
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import PATIENCE_S, eventually

pytest_plugins = ["tests.support.reports_fixtures"]
GREEDY_EXPORTS = 24


@pytest.fixture(scope="module")
def narrow(mart: Mart, issuer: Issuer) -> Iterator[Service]:
    """A service whose limits a test can reach."""
    with running(mart, issuer, request_receipt_s=0.4, connections=Share(total=40, each=30), rate_per_s=1000, rate_burst=1000) as service:
        yield service


def ask(service: Service, target: str, *lines: bytes, method: str = "GET", body: bytes = b"") -> RawAnswer:
    answer = exchanged(service.served.port, request(target, "reports", *lines, method=method, body=body))
    assert answer is not None
    return answer


def is_ours(answer: RawAnswer) -> bool:
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", answer
    assert answer.headers["cache-control"] == "no-store", answer
    assert answer.problem["instance"].endswith(answer.headers["x-request-id"]), answer
    return answer.problem["status"] == answer.status


def test_no_answer_leaves_without_headers_a_request_id_and_problem_details(narrow: Service) -> None:
    both = (b"Content-Length: 5", b"Transfer-Encoding: chunked")
    nested = b"Authorization: Bearer " + b"W1tb" * 1_900 + b".e30.AAAA"
    asked = [
        (400, ask(narrow, "/reports/x/today", *both, body=b"0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")),
        (401, ask(narrow, "/reports/x/today", nested)),
        (401, ask(narrow, "/reports/x/today", b"Authorization: Bearer \xff.\xff.\xff")),
        (404, ask(narrow, "/" + "a" * 300)),
        (405, ask(narrow, "/health/live", method="BREW")),
        (431, ask(narrow, "/", b"X: " + b"a" * 70_000)),
        (400, exchanged(narrow.served.port, b"\x16\x03\x01\r\n\r\n")),
        (408, exchanged(narrow.served.port, b"GET / HTTP/1.1\r\nHost:")),
    ]
    for status, answer in asked:
        assert answer is not None
        assert answer.status == status
        assert is_ours(answer)
        assert answer.rest == b""
    assert exchanged(narrow.served.port, b"") is None


@pytest.mark.parametrize("value", ["1700006400", "1.7e9", "2026-11-20T00:00:00", "20261120", " 2026-11-20", "٢٠٢٦-11-20", "2026-1-2"])
def test_a_day_has_one_spelling(service: Service, value: str) -> None:
    """Seconds since 1970 among them: whoever means milliseconds would get another year, without a word."""
    user = new_user()
    for rest, params in (("", {"from": value}), ("/summary", {"to": value}), ("/export.csv", {"from": value}), (f"/hours/{value}", {})):
        answer = service.own(user, rest, params=params)
        assert answer.status_code in ({404, 422} if rest.startswith("/hours") else {422}), rest
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", ["+3", "3.0", " 3", "3_1", "٣", "1e1"])
def test_a_number_has_one_spelling(service: Service, value: str) -> None:
    assert service.own(new_user(), "", params={"limit": value}).status_code == 422


async def test_exports_at_once_are_all_right_and_one_callers_are_few(mart: Mart, issuer: Issuer) -> None:
    """Documents used to be made in threads that share their fonts: some failed. And one caller's exports took every place there was."""
    with running(mart, issuer, exports=ReportsSettings().exports) as service:
        greedy, others = new_user(), [new_user() for _ in range(6)]
        mart.put(*(row(user, today() - timedelta(days=n)) for user in (greedy, *others) for n in range(30)))
        async with httpx.AsyncClient(base_url=service.served.url, timeout=PATIENCE_S, trust_env=False) as client:

            async def export(user: str, kind: str = "pdf") -> httpx.Response:
                head = {"Authorization": f"Bearer {issuer.token(user)}"}
                return await client.get(f"/reports/{user}/export.{kind}", params={"from": "2026-10-01"}, headers=head)

            flood = asyncio.gather(*(export(greedy) for _ in range(GREEDY_EXPORTS)))
            wanted = await asyncio.gather(*(export(user, kind) for user in others for kind in ("pdf", "csv")))
            answers = await flood
        assert {answer.status_code for answer in wanted} == {200}
        assert all(answer.content[:5] == b"%PDF-" or answer.content.startswith(b"\xef\xbb\xbfreport_date") for answer in wanted)
        refused = [answer for answer in answers if answer.status_code != 200]
        assert {answer.status_code for answer in refused} == {429}
        assert all(answer.json()["type"] == "urn:bionicpro:problem:too-many-exports" for answer in refused)
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


def test_the_process_that_makes_exports_is_started_again_when_it_has_ended(mart: Mart, issuer: Issuer) -> None:
    with running(mart, issuer) as service:
        user = new_user()
        mart.put(row(user, today()))
        assert service.own(user, "/export.pdf").status_code == 200
        app: Any = service.served._app
        workshop = app.state.service._exports._workshop
        os.kill(next(iter(workshop._processes)), signal.SIGKILL)
        workshop._executor_manager_thread.join(30)
        gone = service.own(user, "/export.pdf")
        assert (gone.status_code, gone.headers["retry-after"]) == (503, "2")
        assert service.own(user, "/export.pdf").status_code == 200


async def test_one_callers_questions_wait_in_a_queue_of_their_own(mart: Mart, issuer: Issuer, clickhouse_gate: TcpProxy) -> None:
    """With the mart at a standstill, one caller fills their own share and queue; others are in time, and nobody more is refused than that caller."""
    answers = Share(total=3, each=1, queued_each=2, queued_total=10)
    with running(mart, issuer, port=clickhouse_gate.port, answers=answers, query_deadline_s=20) as service:
        greedy, other = new_user(), new_user()
        assert service.own(other, "/today").status_code == 200
        clickhouse_gate.stall()
        async with httpx.AsyncClient(base_url=service.served.url, timeout=PATIENCE_S, trust_env=False) as client:

            def question(user: str) -> asyncio.Task[httpx.Response]:
                head = {"Authorization": f"Bearer {issuer.token(user)}"}
                return asyncio.create_task(client.get(f"/reports/{user}/today", headers=head))

            many = [question(greedy) for _ in range(10)]
            await eventually(lambda: sum(task.done() for task in many) == 7)
            assert {task.result().status_code for task in many if task.done()} == {429}
            waiting = question(other)
            clickhouse_gate.open()
            assert (await waiting).status_code == 200
            assert Counter(answer.status_code for answer in await asyncio.gather(*many)) == {429: 7, 200: 3}


def test_streams_are_counted_for_who_listens_and_not_for_whom_they_are_about(mart: Mart, issuer: Issuer) -> None:
    """Somebody of support who has many views of a wearer open takes none of the wearer's own."""
    with running(mart, issuer, streams=Share(total=10, each=2)) as service:
        wearer = new_user()
        support = {"Authorization": f"Bearer {issuer.support()}"} | support_access.reason("a test listens")
        own = {"Authorization": f"Bearer {issuer.token(wearer)}"}
        with (
            service.client.stream("GET", f"/users/{wearer}/stream", headers=support) as first,
            service.client.stream("GET", f"/users/{new_user()}/stream", headers=support) as second,
        ):
            assert (first.status_code, second.status_code) == (200, 200)
            assert service.client.get(f"/users/{new_user()}/stream", headers=support).status_code == 429
            with service.client.stream("GET", f"/reports/{wearer}/stream", headers=own) as stream:
                assert stream.status_code == 200


def test_there_are_fewer_answers_at_once_than_queries() -> None:
    """Live streams and exports must find a client of the pool when answers take all of theirs."""
    settings = ReportsSettings()
    assert settings.answers.total < settings.pool_size
