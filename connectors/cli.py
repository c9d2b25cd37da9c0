"""``bionicpro topics …`` and ``bionicpro connectors …``.

Exit codes: 0 all well (for ``plan``: nothing to change), 1 something is wrong or was refused, 3 ``plan`` found changes to make, 69 a server does not answer,
78 bad settings.
"""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from connectors import accounts
from connectors import apply as connect_api
from connectors import topics as broker
from connectors.flow import await_flow
from connectors.generate import generate, text_of
from connectors.plan import Step
from connectors.resnapshot import resnapshot
from connectors.watch import SourceSettings, WatchSettings, contracts, look, run
from schemas.mapping import SourceMapping
from schemas.topics import CATALOGUE, CatalogueError, Topic, read_catalogue
from service_kit.logging import configure
from service_kit.outages import is_outage
from service_kit.settings import ConnectSettings, KafkaSettings, PostgresSettings, Section, ServiceSettings, load

EXIT_WRONG = 1
EXIT_CHANGES = 3
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h

topics_app = typer.Typer(no_args_is_help=True, help="Kafka topics, as the catalogue (schemas/topics/) describes them.")
connectors_app = typer.Typer(no_args_is_help=True, help="Debezium connectors, as connectors/*.json describe them.")

CatalogueOption = Annotated[Path, typer.Option("--catalogue", help="Folder of topic descriptions.")]
FolderOption = Annotated[Path, typer.Option("--folder", help="Folder of connector files.")]
DeadlineOption = Annotated[float, typer.Option("--deadline", min=1.0, help="Seconds to wait for Connect and for the connectors to run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


class TopicSettings(Section):
    """``BIONICPRO_TOPICS__REPLICATION_FACTOR``: copies of each partition of a topic that is created; 3 in a cluster."""

    replication_factor: int = 1


class Settings(ServiceSettings):
    kafka: KafkaSettings = KafkaSettings()
    connect: ConnectSettings = ConnectSettings()
    topics: TopicSettings = TopicSettings()


class AccountSection(Section):
    """``BIONICPRO_KAFKA_ACCOUNTS__…``: the services' passwords at Kafka."""

    connect: SecretStr
    processor: SecretStr
    operator: SecretStr


class AccountSettings(ServiceSettings):
    """*kafka* is the broker's own account."""

    kafka: KafkaSettings
    kafka_accounts: AccountSection


@topics_app.command("plan")
def plan_topics(catalogue: CatalogueOption = CATALOGUE) -> None:
    """Show what ``apply`` would change; change nothing."""
    with _errors_to_exit_code():
        wanted, admin = _topics(catalogue)
        _end_plan(broker.plan(wanted, broker.read_topics(admin, [topic.name for topic in wanted])))


@topics_app.command("apply")
def apply_topics(catalogue: CatalogueOption = CATALOGUE) -> None:
    """Create missing topics and alter settings; never delete, never change a partition count."""
    with _errors_to_exit_code():
        wanted, admin = _topics(catalogue)
        _print_steps(broker.apply(admin, wanted, load(Settings).topics.replication_factor))


@topics_app.command("accounts")
def apply_accounts() -> None:
    """Give each service its account at Kafka and exactly its rights, as the broker's own account. Can be repeated."""
    with _errors_to_exit_code():
        settings = load(AccountSettings)
        passwords = {user: getattr(settings.kafka_accounts, user).get_secret_value() for user in accounts.SERVICES}
        added, taken = accounts.ensure(AdminClient({**settings.kafka.librdkafka(), "log_level": 0}), passwords)
    typer.echo(f"{len(passwords)} accounts, {added} rights added, {taken} taken")


@topics_app.command("status")
def show_topics(catalogue: CatalogueOption = CATALOGUE, as_json: JsonOption = False) -> None:
    """The catalogue's topics as the broker has them; exit code 1 where one is missing or differs."""
    with _errors_to_exit_code():
        wanted, admin = _topics(catalogue)
        found = broker.read_topics(admin, [topic.name for topic in wanted])
        steps = {step.subject: step for step in broker.plan(wanted, found)}
        rows = [_topic_row(topic, found.get(topic.name), steps.get(topic.name)) for topic in wanted]
        _print_rows(rows, as_json)
        if steps:
            raise typer.Exit(EXIT_WRONG)


@connectors_app.command("plan")
def plan_connectors(folder: FolderOption = connect_api.FOLDER, deadline: DeadlineOption = 10.0) -> None:
    """Show what ``apply`` would change; change nothing."""
    with _errors_to_exit_code(), _connect(deadline) as connect:
        _end_plan(connect_api.plan(connect_api.wanted_connectors(folder), connect.configs(), connect.statuses()))


@connectors_app.command("generate")
def generate_connectors(
    mapping: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The source mapping (YAML), see schemas/mapping.py.")],
    into: Annotated[Path, typer.Option("--into", file_okay=False, help="Folder for crm.json and telemetry.json; made if need be.")],
) -> None:
    """Write connectors for the source that a mapping describes, as files to read and to give to ``apply --folder``."""
    with _errors_to_exit_code():
        wanted = SourceMapping.read(mapping)
        into.mkdir(parents=True, exist_ok=True)
        for template in connect_api.read_connectors():
            file = into / f"{template.name}.json"
            file.write_text(text_of(generate(template, wanted)), encoding="utf-8")
            typer.echo(str(file))


@connectors_app.command("apply")
def apply_connectors(folder: FolderOption = connect_api.FOLDER, deadline: DeadlineOption = 120.0) -> None:
    """Create, alter or restart connectors, and wait until changes of each one's source come through."""
    with _errors_to_exit_code(), _connect(deadline) as connect:
        wanted = connect_api.wanted_connectors(folder)
        steps = connect.apply(wanted)
        for connector in wanted:
            _await_flow(connect, connector, deadline)
        _print_steps(steps)


@connectors_app.command("status")
def show_connectors(folder: FolderOption = connect_api.FOLDER, deadline: DeadlineOption = 10.0, as_json: JsonOption = False) -> None:
    """The state of each connector and its tasks, with the trace of what failed; exit code 1 where one does not run."""
    with _errors_to_exit_code(), _connect(deadline) as connect:
        found = connect.statuses()
        absent = connect_api.ConnectorStatus("", "ABSENT", ())
        statuses = {connector.name: found.get(connector.name, absent) for connector in connect_api.read_connectors(folder)}
        _print_rows([asdict(status) | {"name": name, "running": status.running} for name, status in statuses.items()], as_json)
        if not all(status.running for status in statuses.values()):
            raise typer.Exit(EXIT_WRONG)


@connectors_app.command("restart")
def restart_connector(
    name: Annotated[str, typer.Argument(help="The connector: crm or telemetry.")],
    folder: FolderOption = connect_api.FOLDER,
    deadline: DeadlineOption = 120.0,
) -> None:
    """Restart one connector with its tasks, from its offsets: for one that runs and sends nothing, as after its topic was deleted under it.

    Done when a change of its source, written for the purpose, came through.
    """
    with _errors_to_exit_code(), _connect(deadline) as connect:
        if name not in connect.statuses():
            raise connect_api.ConnectError(f"there is no connector {name}: `bionicpro connectors apply`")
        connect.restart(name)
        _await_flow(connect, _wanted(folder, name), deadline)
    typer.echo(f"connector {name} runs, and changes of its source come through")


@connectors_app.command("resnapshot")
def resnapshot_connector(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The connector: crm or telemetry.")],
    folder: FolderOption = connect_api.FOLDER,
    *,
    deadline: Annotated[float, typer.Option("--deadline", min=1.0, help="Seconds until it streams again, the snapshot included.")] = 3600.0,
    source_env: Annotated[
        Path | None, typer.Option(help="The connector's own database account, to drop a lost slot; connect.env beside the operator's file.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Heal a dropped or lost replication slot, or go past a change that cannot be read: stop the connector, forget its offsets, let it read every row again and stream.

    Then `bionicpro repair`.
    """
    with _errors_to_exit_code():
        connector = _wanted(folder, name)
        if not yes:
            typer.confirm(f"Let connector {name} forget its offsets and read every row again?", abort=True, err=True)
        database = _source_of(name)
        owner = _owner(name, source_env, context.obj)
        with _connect(60.0) as connect:
            resnapshot(connect, connector, database, owner=owner, deadline_s=deadline, say=partial(typer.echo, err=True))
    typer.echo(f"connector {name} streams again; now `bionicpro repair`, which finds what was deleted meanwhile")


@connectors_app.command("check")
def check_sources(as_json: JsonOption = False) -> None:
    """Look at both source databases once: whether every row of them can arrive. Exit code 1 where something drifted, with what to do.

    Whether a database is still the one that the reports were made from is known to `connectors watch` alone, and said by `bionicpro status`.
    """
    settings = load(SourceSettings)
    rows = [
        {"source": source, **asdict(finding)}
        for source, contract in contracts(settings.watch.mapping).items()
        for finding in look(settings, contract, None).findings
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
    else:
        typer.echo(
            "\n".join(f"{row['source']}: {row['what']}; {row['means']} → {row['do']}" for row in rows)
            or "both sources are as they should be"
        )
    raise typer.Exit(EXIT_WRONG if rows else 0)


@connectors_app.command("watch")
def watch_sources() -> None:
    """Look at both source databases every few seconds until told to end, write down what drifted, and start failed connectors again."""
    settings = load(WatchSettings)
    configure("watch", settings.log)
    # The driver logs each refused connection with its trace; ours says it in one line.
    logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    raise typer.Exit(run(settings, stop))


def _wanted(folder: Path, name: str) -> connect_api.Connector:
    wanted = {connector.name: connector for connector in connect_api.read_connectors(folder)}
    if name not in wanted:
        raise typer.BadParameter(f"{name}: no such connector; there are {', '.join(wanted)}", param_hint="NAME")
    return wanted[name]


def _source_of(name: str) -> PostgresSettings:
    """The source database of a connector, with an account that may write barriers."""
    settings = load(SourceSettings)
    databases = {"crm": settings.crm_db, "telemetry": settings.telemetry_db}
    if name not in databases:
        raise connect_api.ConnectError(f"connector {name}: its source is not known here; there are settings of {', '.join(databases)}")
    return databases[name]


def _await_flow(connect: connect_api.Connect, connector: connect_api.Connector, deadline_s: float) -> None:
    await_flow(connect, connector, _source_of(connector.name), load(Settings).kafka, deadline_s)


def _owner(name: str, given: Path | None, operators: Path | None) -> PostgresSettings | None:
    """The connector's own account out of the file given, or out of connect.env beside the operator's; None where there is none."""
    file = given or (operators.with_name("connect.env") if operators else None)
    if file is None or (given is None and not file.exists()):
        return None
    prefix = f"BIONICPRO_{name.upper()}_DB__"
    lines = (line.partition("=") for line in file.read_text("utf-8").splitlines())
    return PostgresSettings.model_validate({key.removeprefix(prefix).lower(): value for key, _, value in lines if key.startswith(prefix)})


def _topics(folder: Path) -> tuple[list[Topic], AdminClient]:
    # librdkafka would print its own connection complaints beside our one error.
    admin = AdminClient({**load(Settings).kafka.librdkafka(), "log_level": 0})
    return list(read_catalogue(folder).values()), admin


def _connect(deadline_s: float) -> connect_api.Connect:
    settings = load(Settings).connect
    return connect_api.Connect(settings.url, deadline_s, settings.login)


@contextmanager
def _errors_to_exit_code() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        typer.echo(f"Kafka at {load(Settings).kafka.bootstrap_servers}: {error.args[0]}", err=True)
        raise typer.Exit(_code_of(error)) from None
    except (CatalogueError, broker.TopicsRefusedError, connect_api.ConnectError, TimeoutError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_code_of(error)) from None
    except (psycopg.Error, OSError) as error:
        typer.echo(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}", err=True)
        raise typer.Exit(_code_of(error)) from None


def _code_of(error: Exception) -> int:
    return EXIT_UNAVAILABLE if isinstance(error, connect_api.ConnectAwayError) or is_outage(error) else EXIT_WRONG


def _print_steps(steps: Sequence[Step]) -> None:
    for step in steps:
        typer.echo(str(step))
    if not steps:
        typer.echo("nothing to change")


def _end_plan(steps: Sequence[Step]) -> None:
    _print_steps(steps)
    if any(step.action == "refuse" for step in steps):
        raise typer.Exit(EXIT_WRONG)
    if steps:
        raise typer.Exit(EXIT_CHANGES)


def _topic_row(topic: Topic, found: broker.BrokerTopic | None, step: Step | None) -> dict[str, object]:
    return {
        "name": topic.name,
        "partitions": found.partitions if found else 0,
        "replicas": found.replicas if found else 0,
        "differences": list(step.details) if step else [],
        "state": "ok" if step is None else "missing" if found is None else "differs",
    }


def _print_rows(rows: Sequence[dict[str, object]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        typer.echo("  ".join(f"{name}={value}" for name, value in row.items() if value not in ((), [])))
