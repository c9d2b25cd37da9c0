"""Live streams: one poll for all, resumption, ends; and what happens when ClickHouse goes away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from service_kit.server_sent_events import events
from service_kit.shares import Share
from tests.support.days import today
from tests.support.reports_world import Issuer, Mart, Service, new_user, row, running, wait_for_answer
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import PATIENCE_S

pytest_plugins = ["tests.support.reports_fixtures"]


class Events:
    """The events of an open stream; reading waits at most the client's time-out."""

    def __init__(self, response: httpx.Response) -> None:
        self._events = events(response.iter_lines())

    def next(self, kind: str | None = None) -> dict[str, Any]:
        """The next event, of *kind* if given: ``event``, ``id`` and decoded ``data``. StopIteration at the end of the stream."""
        while True:
            read = next(self._events)
            event = {"event": read.event, "id": read.identity, "data": json.loads(read.data)}
            if kind is None or event["event"] == kind:
                return event


@contextmanager
def listening(service: Service, user: str, token: str | None = None, **headers: str) -> Iterator[Events]:
    sent = {"Authorization": f"Bearer {token or service.issuer.token(user)}"} | headers
    with (
        httpx.Client(base_url=service.served.url, timeout=PATIENCE_S, trust_env=False) as client,
        client.stream("GET", f"/reports/{user}/stream", headers=sent) as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


def test_a_listener_gets_today_as_it_is_and_then_each_change(service: Service) -> None:
    user = new_user()
    service.mart.put(row(user, today(), version=1, usage_ms=1))
    with listening(service, user) as events:
        assert events.next("report")["data"]["items"][0]["usage"]["total_ms"] == 1
        for version in (2, 3):
            service.mart.put(row(user, today(), version=version, usage_ms=version))
            event = events.next("report")
            assert event["data"]["items"][0]["usage"]["total_ms"] == version
            assert event["id"] == f"{today()}~17:{version}"


def test_a_report_that_goes_away_is_an_event_too(service: Service) -> None:
    user = new_user()
    service.mart.put(row(user, today(), version=1))
    with listening(service, user) as events:
        events.next("report")
        service.mart.put(row(user, today(), version=2), deleted=True)
        assert events.next("report")["data"]["items"] == []


def test_what_was_seen_is_not_sent_again_after_a_reconnect(service: Service) -> None:
    user = new_user()
    service.mart.put(row(user, today(), version=1))
    with listening(service, user) as events:
        seen = events.next("report")["id"]
    with listening(service, user, **{"Last-Event-ID": seen}) as events:
        assert events.next()["event"] == "heartbeat"
        service.mart.put(row(user, today(), version=2))
        assert events.next("report")["data"]["items"][0]["version"] == 2
    with listening(service, user, **{"Last-Event-ID": seen}) as events:
        assert events.next("report")["data"]["items"][0]["version"] == 2


def test_heartbeats_carry_the_watermark_of_the_listeners_own_partitions(service: Service) -> None:
    user, early, late = new_user(), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    service.mart.put(row(user, today(), log_partition=50))
    service.mart.progress(early, partition=50)
    with listening(service, user) as events:
        assert datetime.fromisoformat(events.next("heartbeat")["data"]["as_of"]) == early
        service.mart.progress(late, partition=50)
        service.mart.progress(early, partition=51)
        times = {datetime.fromisoformat(events.next("heartbeat")["data"]["as_of"]) for _ in range(3)}
        assert late in times


def test_a_stream_ends_with_its_token(service: Service) -> None:
    user = new_user()
    service.mart.put(row(user, today()))
    with listening(service, user, service.issuer.token(user, exp=int(time.time()) + 2)) as events:
        assert events.next("end")["data"] == {"reason": "token-expired"}
        with pytest.raises(StopIteration):
            events.next()


def test_listeners_of_two_users_get_only_their_own_reports(service: Service) -> None:
    first, second = new_user(), new_user()
    service.mart.put(row(first, today(), version=1), row(second, today(), version=1))
    with listening(service, first) as one, listening(service, second) as other:
        for version in range(2, 6):
            service.mart.put(row(first, today(), version=version), row(second, today(), version=version))
            assert one.next("report")["data"]["user_id"] == first
            assert other.next("report")["data"]["user_id"] == second


def test_thirty_listeners_cost_the_queries_of_one(mart: Mart, issuer: Issuer) -> None:
    with running(mart, issuer, streams=Share(total=100, each=40)) as service, ExitStack() as open_streams:
        user = new_user()
        mart.put(row(user, today(), version=1))
        streams = [open_streams.enter_context(listening(service, user)) for _ in range(30)]
        for events in streams:
            events.next("report")
        before = len(mart.reads_of(user))
        mart.put(row(user, today(), version=2))
        for events in streams:
            assert events.next("report")["data"]["items"][0]["version"] == 2
        full_reads = [read for read in mart.reads_of(user)[before:] if read]
        assert len(full_reads) < 30, "each listener asked for itself"


def test_streams_are_bounded_for_a_user_and_for_all(mart: Mart, issuer: Issuer) -> None:
    with running(mart, issuer, streams=Share(total=3, each=2)) as service:
        user = new_user()
        with listening(service, user), listening(service, user):
            refused = service.own(user, "/stream")
            assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
            other = new_user()
            with listening(service, other):
                assert service.own(new_user(), "/stream").status_code == 503
        with listening(service, user) as events:
            events.next("report")


def test_a_stopping_service_says_so_and_stops(mart: Mart, issuer: Issuer) -> None:
    with running(mart, issuer) as service:
        user = new_user()
        with listening(service, user) as events:
            events.next("report")
            app: Any = service.served._app
            app.state.service.hub.close()
            assert events.next("end")["data"] == {"reason": "service-stopping"}
            assert service.own(user, "/stream").status_code == 503


def test_clickhouse_gone_is_a_503_with_retry_after_and_heals_by_itself(mart: Mart, issuer: Issuer, clickhouse_gate: TcpProxy) -> None:
    with running(mart, issuer, port=clickhouse_gate.port, query_deadline_s=2) as service:
        user = new_user()
        mart.put(row(user, today()))
        assert service.own(user, "/today").status_code == 200
        clickhouse_gate.refuse()
        answer = service.own(user, "/today")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert int(answer.headers["retry-after"]) >= 1
        assert "127.0.0.1" not in answer.text
        assert service.client.get("/health/ready").status_code == 503
        assert service.client.get("/health/live").status_code == 200
        clickhouse_gate.open()
        wait_for_answer(f"{service.served.url}/health/ready")
        assert service.own(user, "/today").status_code == 200


def test_a_silent_clickhouse_is_given_up_at_the_deadline(mart: Mart, issuer: Issuer, clickhouse_gate: TcpProxy) -> None:
    with running(mart, issuer, port=clickhouse_gate.port, query_deadline_s=1, pool_size=2, pool_max_waiting=2) as service:
        user = new_user()
        assert service.own(user, "/today").status_code == 200
        clickhouse_gate.stall()
        clickhouse_gate.cut()
        for _ in range(4):
            assert service.own(user, "/today").status_code == 503
        clickhouse_gate.open()
        wait_for_answer(f"{service.served.url}/health/ready")
        assert service.own(user, "/today").status_code == 200


def test_an_open_stream_survives_an_outage_of_clickhouse(mart: Mart, issuer: Issuer, clickhouse_gate: TcpProxy) -> None:
    with running(mart, issuer, port=clickhouse_gate.port, query_deadline_s=1) as service:
        user = new_user()
        mart.put(row(user, today(), version=1))
        with listening(service, user) as events:
            events.next("report")
            clickhouse_gate.refuse()
            assert events.next()["event"] == "heartbeat"
            mart.put(row(user, today(), version=2))
            clickhouse_gate.open()
            assert events.next("report")["data"]["items"][0]["version"] == 2
