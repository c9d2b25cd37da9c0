"""``bionicpro dlq list|show|replay|purge``. Exit codes: 0 done, 1 refused or failed, 69 Kafka does not answer, 78 bad settings."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from cli.dlq.dead_letters import DeadLetter, Selection, by_reason, pretty, refusal, summary, text_of
from cli.dlq.topic import DeadLetterError, DeadLetterTopic, chosen, send_back
from cli.failures import EXIT_WRONG, explained
from service_kit.settings import KafkaSettings, ServiceSettings, load

dlq_app = typer.Typer(no_args_is_help=True, help="Dead letters: records that were refused.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Reason = Annotated[str | None, typer.Option(help="Only those refused for this reason.")]


class Settings(ServiceSettings):
    kafka: KafkaSettings = KafkaSettings()


@contextmanager
def _topic() -> Iterator[tuple[KafkaSettings, DeadLetterTopic]]:
    kafka = load(Settings).kafka
    with explained(DeadLetterError):
        topic = DeadLetterTopic(kafka)
        try:
            yield kafka, topic
        finally:
            topic.close()


@dlq_app.command("list")
def show_list(
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many of the newest to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """How many there are for each reason, and the newest, without their contents."""
    newest: deque[DeadLetter] = deque(maxlen=limit)
    counts: dict[str, int] = {}
    selection = Selection(reason=reason)
    with _topic() as (_, topic):
        for letter in topic.all():
            counts[letter.reason] = counts.get(letter.reason, 0) + 1
            if letter in selection:
                newest.append(letter)
    if as_json:
        document = {"count": sum(counts.values()), "reasons": counts, "newest": [summary(letter) for letter in newest]}
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    typer.echo("\n".join(f"{count:>8}  {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "no dead letters")
    for letter in newest:
        typer.echo(_line(letter))


@dlq_app.command("show")
def show_one(
    offset: Annotated[int, typer.Argument(min=0, help="Its offset among the dead letters.")],
    value: Annotated[bool, typer.Option("--value", help="Also its value, which is somebody's personal data.")] = False,
    as_json: AsJson = False,
) -> None:
    """One dead letter: where it came from, why it was refused, its headers."""
    with _topic() as (_, topic):
        letter = topic.one(offset)
    document = summary(letter)
    if as_json:
        typer.echo(json.dumps(document | ({"value": text_of(letter.value)} if value else {}), ensure_ascii=False))
        return
    for name, content in document.items():
        typer.echo(f"{name:<14} {content}")
    if value:
        typer.echo(pretty(letter.value))


@dlq_app.command("replay")
def replay(
    offsets: Annotated[list[int] | None, typer.Option("--offset", min=0, help="Only this one; may be given again.")] = None,
    reason: Reason = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send records back to the topic they came from. They stay here until they are purged; what is still wrong comes back as a new dead letter."""
    _exactly_one(everything, bool(offsets) or reason is not None, "--all, or some by --offset or --reason")
    selection = Selection(frozenset(offsets or ()), reason)
    with _topic() as (kafka, topic):
        letters = chosen(topic.all(), selection)
        missing = sorted(selection.offsets - {letter.offset for letter in letters})
        refused = {letter.offset: why for letter in letters if (why := refusal(letter)) is not None}
        sendable = [letter for letter in letters if letter.offset not in refused]
        if sendable and not yes:
            _ask(f"Send {len(sendable)} records back ({_counts(sendable)})?")
        sent = send_back(kafka, sendable) if sendable else 0
    if as_json:
        typer.echo(json.dumps({"sent": sent, "refused": refused, "missing": missing}, ensure_ascii=False))
    else:
        typer.echo(f"{sent} records sent back" + (f" ({_counts(sendable)})" if sent else ""))
        for offset, why in refused.items():
            typer.echo(f"offset {offset} stays: {why}", err=True)
        for offset in missing:
            typer.echo(f"offset {offset}: no such dead letter" + (" of that reason" if reason else ""), err=True)
    raise typer.Exit(EXIT_WRONG if refused or missing else 0)


@dlq_app.command("purge")
def purge(
    up_to: Annotated[int | None, typer.Option("--up-to", min=0, help="The last offset to delete; all before it go too.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are there now.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete dead letters for good, from the oldest on: Kafka cannot delete one out of the middle."""
    _exactly_one(everything, up_to is not None, "--all or --up-to OFFSET")
    with _topic() as (_, topic):
        start, end = topic.bounds()
        before = end if up_to is None else min(up_to + 1, end)
        number = max(0, before - start)
        if number and not yes:
            _ask(f"Delete {number} dead letters, offsets {start} to {before - 1}, for good?")
        if number:
            topic.purge(before)
    typer.echo(json.dumps({"deleted": number, "before": before}) if as_json else f"{number} dead letters deleted")


def _exactly_one(one: bool, other: bool, choice: str) -> None:
    if one == other:
        raise typer.BadParameter(f"give {choice}")


def _ask(question: str) -> None:
    typer.confirm(question, abort=True, err=True)


def _counts(letters: list[DeadLetter]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in by_reason(letters).items())


def _line(letter: DeadLetter) -> str:
    fields: tuple[Any, ...] = (
        f"{letter.offset:>8}",
        f"{letter.refused_at:%Y-%m-%d %H:%M:%S}",
        f"{letter.topic}/{letter.partition}@{letter.origin_offset}",
        letter.reason,
        letter.error[:100],
    )
    return "  ".join(fields)
