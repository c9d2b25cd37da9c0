"""``bionicpro replay``. Exit codes: 0 done, 1 refused, 69 Kafka does not answer, 78 bad settings."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.broker import Broker
from cli.failures import explained
from cli.generations import serving_begins, serving_group
from cli.replay.rewind import RewindRefusedError, carry_out, plan
from reconciliation.commands import CommandError, send
from schemas.commands import Recompute
from schemas.keys import prosthesis_key
from service_kit.settings import ClickHouseSettings, KafkaSettings, ServiceSettings, load
from stream_processor.settings import ProcessorSection


class Settings(ServiceSettings):
    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings
    processor: ProcessorSection = ProcessorSection()


def replay(
    since: Annotated[
        str | None, typer.Option("--from", metavar="ISO_TIME", help="The moment; without an offset from UTC it is UTC.")
    ] = None,
    prosthesis: Annotated[str | None, typer.Option(help="Fold only this prosthesis's reports again, while the workers run.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
) -> None:
    """Let the processor read the log again from a moment on (its workers must be stopped), or recompute one prosthesis. Changes no correct report.

    It goes back as far as the last rebuild at most: what lies before is not the present tables'.
    """
    settings = load(Settings)
    moment = None if since is None else parse_moment(since)
    if prosthesis is not None:
        with explained(CommandError):
            command = recompute(prosthesis, moment)
            send(settings.kafka, [command])
        text = f"prosthesis {prosthesis}: its reports {f'from {command.from_date} on ' if command.from_date else ''}are folded again"
        typer.echo(json.dumps({"prosthesis_id": prosthesis, "command_id": command.command_id}) if as_json else text)
    elif moment is None:
        raise typer.BadParameter("give --from ISO_TIME, or --prosthesis ID")
    else:
        _rewind(settings, moment, yes, as_json)


def _rewind(settings: Settings, moment: datetime, yes: bool, as_json: bool) -> None:
    broker = Broker(settings.kafka)
    with explained(RewindRefusedError):
        group = serving_group(settings.clickhouse, settings.processor.group)
        planned = plan(broker, group, moment, serving_begins(settings.clickhouse))
        if planned.offsets and not yes:
            question = f"Let {group} read at most {planned.records} records of {len(planned.offsets)} partitions again, from {moment.isoformat()} on?"
            typer.confirm(question, abort=True, err=True)
        carry_out(broker, group, planned)
    if as_json:
        typer.echo(json.dumps({"group": group, "records": planned.records, "offsets": dict(planned.offsets)}))
    elif planned.offsets:
        typer.echo(f"{group} reads at most {planned.records} records again; start its workers")
    else:
        typer.echo("nothing to do: the group stands at or before that moment")


def recompute(prosthesis: str, moment: datetime | None) -> Recompute:
    """The command. An instant lies on the day before in some time zones, so the day before is folded too. Raises BadParameter for what is no id."""
    try:
        prosthesis_key(prosthesis)
    except ValueError:
        raise typer.BadParameter(f"{prosthesis!r} is no prosthesis id", param_hint="--prosthesis") from None
    from_date = None if moment is None else moment.astimezone(UTC).date() - timedelta(days=1)
    return Recompute(command_id=f"replay-{uuid.uuid4()}", prosthesis_id=prosthesis, from_date=from_date, reason="bionicpro replay")


def parse_moment(text: str) -> datetime:
    """An aware time out of ISO 8601. Raises BadParameter."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time, such as 2026-01-31T12:00:00+03:00", param_hint="--from") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
