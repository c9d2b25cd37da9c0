"""Prometheus metrics of the reports service."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "bionicpro_reports_request_seconds",
    "Time to answer a request, by route pattern and status; a stream counts when it ends",
    ("route", "status"),
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
REFUSALS = Counter("bionicpro_reports_refusals_total", "Requests refused by authentication or authorization", ("reason",))
RATE_LIMITED = Counter("bionicpro_reports_rate_limited_total", "Requests refused by the rate limit")
JWKS_FETCHES = Counter("bionicpro_reports_jwks_fetches_total", "Fetches of the identity provider's keys", ("outcome",))
LISTENERS = Gauge("bionicpro_reports_stream_listeners", "Open live streams")
STREAM_EVENTS = Counter("bionicpro_reports_stream_events_total", "Report events offered to live streams")
STREAM_POLLS = Histogram(
    "bionicpro_reports_stream_poll_seconds",
    "Time of one poll of the mart for all live streams",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
STREAM_POLL_FAILURES = Counter("bionicpro_reports_stream_poll_failures_total", "Polls of the mart that failed")
