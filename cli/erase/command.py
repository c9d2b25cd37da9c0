"""``bionicpro erase``. Exit codes: 0 done or listed, 1 nothing to erase, refused or not finished in time, 69 a server does not answer, 78 bad settings."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from typing import Annotated

import typer

from cli.broker import Broker
from cli.erase.customer import Customer, EraseError, ask, find, withdraw
from cli.erase.records import Erasure, records
from cli.erase.waiting import UnfinishedError, follow
from cli.failures import EXIT_WRONG, explained
from reconciliation.settings import ReconciliationSection
from schemas.erasure import ErasureRequest, erasure_id
from schemas.mapping import SourceMapping
from service_kit.settings import ClickHouseSettings, KafkaSettings, PostgresSettings, ServiceSettings, load


class Settings(ServiceSettings):
    """Accounts: ``auditor``."""

    crm_db: PostgresSettings
    clickhouse: ClickHouseSettings
    kafka: KafkaSettings = KafkaSettings()
    reconciliation: ReconciliationSection = ReconciliationSection()


def erase(
    *,
    user: Annotated[str | None, typer.Option(metavar="UUID", help="The customer with this user id at the identity provider.")] = None,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="The customer with this id in the CRM.")] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Only show the erasures there are, with their receipts.")] = False,
    wait_s: Annotated[float, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to wait for the receipt.")] = 1200,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
) -> None:
    """Erase all telemetry and reports of a customer up to now, for good, and wait for the receipt. A customer deleted in the CRM is erased without this."""
    settings = load(Settings)
    if show_list:
        with explained(), records(settings.clickhouse) as found:
            _show(found.erasures(), as_json)
        return
    if (user is None) == (customer is None):
        raise typer.BadParameter("give --user UUID or --customer ID, or --list")
    with explained(EraseError, UnfinishedError):
        mapping = SourceMapping.read(settings.reconciliation.mapping)
        who = find(settings.crm_db, mapping, customer_id=customer, user_id=user)
        if not yes:
            question = (
                f"Erase everything of customer {who.customer_id} ({who.name}), {who.prostheses} prostheses, up to now? It cannot be undone."
            )
            typer.confirm(question, abort=True, err=True)
        erasure = _carry_out(settings, who, wait_s)
    if erasure is None:
        typer.echo(json.dumps({"finished": True, "prostheses": 0, "parts": []}) if as_json else "nothing to erase: no contract ever")
        raise typer.Exit(EXIT_WRONG)
    _show([erasure], as_json, alone=True)


def _carry_out(settings: Settings, who: Customer, wait_s: float) -> Erasure | None:
    request = ErasureRequest(request_id=str(uuid.uuid4()), issued_us=who.now_us, customer_id=who.customer_id)
    broker = Broker(settings.kafka)
    offset = ask(settings.kafka, request)
    identity = erasure_id(who.customer_id, offset)
    _progress()(f"erasure {identity}")
    with records(settings.clickhouse) as found:
        erasure = follow(found, broker, identity, offset, wait_s=wait_s, progress=_progress())
    withdraw(settings.kafka, request.request_id)
    return erasure


def _show(erasures: list[Erasure], as_json: bool, *, alone: bool = False) -> None:
    if as_json:
        documents = [erasure.as_json() for erasure in erasures]
        typer.echo(json.dumps(documents[0] if alone else documents))
        return
    for erasure in erasures:
        typer.echo(erasure.line())
        for name, rows in erasure.removed.items() if alone else ():
            typer.echo(f"  {name}: {rows} rows")
    if not erasures:
        typer.echo("there are no erasures")


def _progress() -> Callable[[str], None]:
    """To standard error of a terminal, each line once."""
    said: list[str] = []

    def tell(line: str) -> None:
        if sys.stderr.isatty() and said[-1:] != [line]:
            said.append(line)
            typer.echo(line, err=True)

    return tell
