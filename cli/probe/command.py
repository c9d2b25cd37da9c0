"""``bionicpro probe``. Exit codes: 0 every mark was seen (and the limit kept), 1 not so, 69 a server does not answer, 78 bad settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.failures import EXIT_WRONG, explained
from cli.probe import subject
from cli.probe.observers import Observer, ObserverError, ServiceObserver, StreamObserver, ViewObserver, until_gone
from cli.probe.run import Outcome, Plan, measure
from cli.probe.settings import ProbeSettings, SourceAccountError, source_accounts, source_file
from cli.probe.token import TokenError, tokens
from service_kit.percentiles import told
from service_kit.settings import load


def probe(
    context: typer.Context,
    *,
    count: Annotated[int, typer.Option(min=1, max=5000, help="How many marked rows to commit.")] = 50,
    rate: Annotated[float, typer.Option(min=0.1, max=200, help="Rows a second.")] = 5.0,
    stream: Annotated[bool, typer.Option("--stream", help="Look at the reports service's live stream; its own login is used.")] = False,
    through_service: Annotated[bool, typer.Option("--through-service", help="Look through the reports service.")] = False,
    deadline: Annotated[float, typer.Option(min=1, max=600, help="Seconds after which a mark is missing.")] = 30.0,
    max_p99: Annotated[float | None, typer.Option("--max-p99", min=0, help="Milliseconds; exit code 1 where p99 is more.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Do not delete the marked rows afterwards.")] = False,
    source_env: Annotated[
        Path | None,
        typer.Option(help="File with the accounts crm_app and telemetry_ingest; simulator.env beside the operator's where not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
) -> None:
    """Commit marked rows of the probe's own wearer and measure when a reader sees each.

    Through the reports service with the probe's own login (BIONICPRO_PROBE__CLIENT_SECRET), which opens its own wearer's reports alone, or with BIONICPRO_PROBE__BEARER. With
    --stream also from the mart to the event, counted from the last look at the mart (every 20 ms) that did not show the mark.
    """
    settings = load(ProbeSettings)
    view = ViewObserver(settings.clickhouse, str(subject.USER_ID))
    with explained(ObserverError, SourceAccountError, TokenError):
        observer = _observer(settings, view, stream=stream, through_service=through_service)
        crm, telemetry = source_accounts(source_file(source_env, context.obj))
        outcome = measure(telemetry, subject.ensure(crm), observer, Plan(count, rate, deadline), keep=keep, mart=view if stream else None)
        removed = None if keep else until_gone(view, outcome.prefix, deadline)
    milliseconds = told(outcome.seconds)
    document = {
        "seen_at": observer.described,
        "count": count,
        "rate": rate,
        "missing": outcome.missing,
        "removed": removed,
        "ms": milliseconds,
    } | ({"mart_to_event_ms": told(outcome.pushed)} if stream else {})
    typer.echo(json.dumps(document) if as_json else "\n".join(_lines(observer, outcome, milliseconds, removed)))
    slow = max_p99 is not None and milliseconds.get("p99", 0.0) > max_p99
    raise typer.Exit(EXIT_WRONG if outcome.missing or slow or removed is False else 0)


def _observer(settings: ProbeSettings, view: ViewObserver, *, stream: bool, through_service: bool) -> Observer:
    if not (stream or through_service):
        return view
    if settings.status.reports_url is None:
        raise ObserverError("set BIONICPRO_STATUS__REPORTS_URL")
    kind = StreamObserver if stream else ServiceObserver
    return kind(settings.status.reports_url, tokens(settings.keycloak, settings.probe), str(subject.USER_ID))


def _lines(observer: Observer, outcome: Outcome, milliseconds: dict[str, float], removed: bool | None) -> list[str]:
    lines = [f"commit → visible at {observer.described}", f"{len(outcome.seconds)} marks  {_figures(milliseconds)}"]
    if outcome.pushed:
        lines.append(f"mart → event: {_figures(told(outcome.pushed))}")
    if outcome.missing:
        lines.append(f"{outcome.missing} marks were not seen: see `bionicpro status`")
    if removed is False:
        lines.append("the marks were deleted in PostgreSQL, but are still in the report: see `bionicpro status`")
    return lines


def _figures(milliseconds: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.1f} ms" for name, value in milliseconds.items()) or "nothing was seen"
