"""Entity tags from row versions: what a body says, without the passing of time in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from hashlib import blake2b

from reports_api.schemas import DailyReport


def of_reports(scope: str, reports: Iterable[DailyReport]) -> str:
    """A weak tag of a list of reports: equal where the days, prostheses, versions and completeness are. *scope* holds the question asked.

    Weak, because ``as_of`` and ``freshness_ms`` move on while the reports stay the same.
    """
    return of_parts(scope, (f"{r.report_date}/{r.prosthesis_id}/{r.version}/{r.complete:d}" for r in reports))


def of_parts(scope: str, parts: Iterable[str]) -> str:
    """A weak tag of texts in their order."""
    digest = blake2b(scope.encode(), digest_size=12)
    for part in parts:
        digest.update(b"\0" + part.encode())
    return f'W/"{digest.hexdigest()}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Weak comparison of RFC 9110 with an ``If-None-Match`` header."""
    if if_none_match is None:
        return False
    candidates = {candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")}
    return "*" in candidates or tag.removeprefix("W/") in candidates


def event_id(day: date, versions: Iterable[tuple[str, int]]) -> str:
    """The id of a stream event: the day, then ``prosthesis:version`` of each of its reports. Equal ids mean equal content."""
    return "~".join([day.isoformat(), *(f"{prosthesis_id}:{version}" for prosthesis_id, version in sorted(versions))])
