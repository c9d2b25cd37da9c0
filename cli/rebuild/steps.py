"""The steps of a rebuild, in order. Each may be killed and done again; what is done is noted with the generation before the next begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

import msgspec
from confluent_kafka.admin import AdminClient

from cli.broker import Broker
from cli.rebuild import directory
from cli.rebuild import progress as plans
from cli.rebuild.progress import Plan, RebuildError, Step, portions
from cli.rebuild.settings import RebuildSettings
from cli.rebuild.source import ask_for_everything, recomputes, rows_to_expect
from cli.rebuild.tables import Tables
from cli.rebuild.waiting import Patience
from cli.rebuild.worker import OwnWorker, own_worker, start_workers
from cli.states import unlike
from clickhouse.migrator import Migrator
from connectors import topics as broker_topics
from connectors.apply import Connect, read_connectors
from reconciliation import repair as repairs
from reconciliation.commands import send_located
from reconciliation.directory import CrmRepair, VanishedCustomers
from schemas.generations import BUILDING, FIRST_GENERATION, SERVING, changelog_of, group_of
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.mapping import SourceMapping
from schemas.retention import Retention
from schemas.topics import catalogue

ROUNDS = 3
CAUGHT_UP = 2_000  # records of the log that may wait: it never stands still

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """*generation* is served now in place of *old*; *rows* of it were compared; *handed_over*: other workers have taken over."""

    generation: int
    old: int
    rows: int
    handed_over: bool


class Rebuild:
    """One run of *plan*. *worker*: the processor's variables, for a worker of our own; None: somebody else starts one."""

    def __init__(
        self,
        settings: RebuildSettings,
        migrator: Migrator,
        tables: Tables,
        *,
        worker: Mapping[str, str] | None,
        generation: int,
        plan: Plan,
        say: Say,
    ) -> None:
        self._settings = settings
        self._limits = settings.rebuild
        self._migrator = migrator
        self._tables = tables
        self._variables = worker
        self._generation = generation
        self._plan = plan
        self._say = say
        self._broker = Broker(settings.kafka)
        self._mapping = SourceMapping.read(settings.reconciliation.mapping)
        self._group = group_of(settings.processor.group, generation)
        self._rows = self._expected = 0
        self._retention = migrator.retention()
        self._today = datetime.now(UTC).date()

    @property
    def _purged_before(self) -> date | None:
        """Before this day PostgreSQL's retention job may have deleted telemetry."""
        return Retention(source_days=self._retention.source_days).first_verifiable(self._today)

    def run(self) -> Result:
        """What is left of the plan. Raises RebuildError and what the servers' clients raise; another run goes on from there."""
        self._do("positions", self._positions, "raw")
        self._do("raw", self._raw, "fold")
        with self._worker() as worker:
            patience = Patience(self._limits.stall_s, self._say, worker.check if worker else lambda: None)
            self._await_member(patience)
            self._do("fold", lambda: self._fold(patience), "verify")
            self._do("verify", lambda: self._verify(patience), "handover")
            handed_over = worker is None or self._handed_over(worker)
        self._note(self._plan.at("done"))
        return Result(self._generation, self._plan.old, self._rows, handed_over)

    def _do(self, step: Step, work: Callable[[], None], then: Step) -> None:
        if self._plan.step == step:
            work()
            self._note(self._plan.at(then))

    def _note(self, plan: Plan) -> None:
        self._plan = plan
        state = BUILDING if plan.is_before("verify") else SERVING
        self._migrator.note(self._generation, state, plans.encode(plan))

    # -- before the worker ----------------------------------------------------------------------------------------------

    def _positions(self) -> None:
        """The new generation's tables, its directory's topic, and where in the log it begins: its tables first, as the worker would."""
        self._migrator.create_generation(self._generation, plans.encode(self._plan))
        template = catalogue()[changelog_of(group_of(self._settings.processor.group, FIRST_GENERATION))]
        changelog = msgspec.structs.replace(template, name=changelog_of(self._group))
        admin = AdminClient({**self._settings.kafka.librdkafka(), "log_level": 0})
        broker_topics.apply(admin, [changelog], self._settings.topics.replication_factor)
        self._carry_over_the_directory(changelog.name)
        if self._plan.source == "postgres":
            self._restart_connectors()
        topic = self._broker.topics([LOG_TOPIC])[LOG_TOPIC]
        self._tables.begin_at(self._plan.begins, topic.topic_id)
        self._broker.commit(self._group, LOG_TOPIC, {p: offset for p, offset in self._plan.begins.items() if offset > 0})

    def _carry_over_the_directory(self, changelog: str) -> None:
        """What the old generation's directory knows and ``crm.changes`` may tell no more: of a person's former contracts and users an erasure knows by nothing else."""
        topic = self._broker.topics([CRM_TOPIC])[CRM_TOPIC]
        rows = directory.carried(self._old_directory(), same_topic=plans.misfit_of(self._tables.positions(), topic) is None)
        self._say(f"the directory: {len(rows)} rows carried over")
        directory.write(self._settings.kafka, changelog, rows)

    def _old_directory(self) -> directory.Rows:
        return directory.table_of(self._settings.kafka, changelog_of(group_of(self._settings.processor.group, self._plan.old)))

    def _restart_connectors(self) -> None:
        """Restart the connectors. One whose topic was deleted may wait for ever for a partition that is gone, and still say that it runs."""
        with Connect(self._settings.connect.url, login=self._settings.connect.login) as connect:
            for connector in read_connectors():
                self._say(f"restarting connector {connector.name}")
                connect.restart(connector.name)

    def _raw(self) -> None:
        """Raw telemetry and ownership: all, or what PostgreSQL no longer has."""
        if self._plan.source == "tables":
            self._copy_raw()
            self._tables.copy_ownership()
        elif self._purged_before is not None:
            self._say(f"raw telemetry of days before {self._purged_before}, which PostgreSQL no longer has, is copied")
            self._tables.copy_raw_before(self._purged_before)

    def _copy_raw(self) -> None:
        left = [(prosthesis, rows) for prosthesis, rows in self._tables.raw_counts(of_old=True) if prosthesis > self._plan.cursor]
        total, done = sum(rows for _, rows in left), 0
        counts = dict(left)
        for portion in self._portions(left):
            self._tables.copy_raw(portion)
            done += sum(counts[prosthesis] for prosthesis in portion)
            self._say(f"raw telemetry: {done} of {total} rows copied")
            self._note(self._plan.at("raw", portion[-1]))

    def _portions(self, counts: list[tuple[str, int]]) -> Iterable[list[str]]:
        return portions(counts, self._limits.portion_rows, self._limits.portion_prostheses)

    # -- with the worker ------------------------------------------------------------------------------------------------

    def _worker(self) -> AbstractContextManager[OwnWorker | None]:
        if self._variables is None:
            self._say(
                f"start a worker with BIONICPRO_PROCESSOR__GENERATION={self._generation} and without BIONICPRO_PROCESSOR__INSTANCE_ID;"
                " it is waited for"
            )
            return nullcontext()
        return own_worker(self._variables, self._generation)

    def _await_member(self, patience: Patience) -> None:
        patience.until(lambda: bool(self._broker.group(self._group).members), f"a worker joins the group {self._group}")

    def _fold(self, patience: Patience) -> None:
        """Fill the reports. The directory reads the CRM's topic from its beginning and sends ownership; telemetry comes from raw or from PostgreSQL."""
        old = self._old_directory()
        self._carry_out_erasures(old)
        self._take_back_what_left_the_crm(old)
        if self._plan.source == "postgres":
            self._from_postgres(patience)
            if self._purged_before is not None:
                self._from_raw(patience)
        else:
            self._await_caught_up(patience)
            self._from_raw(patience)
        self._await_caught_up(patience)

    def _carry_out_erasures(self, old: directory.Rows) -> None:
        """What the old directory has decided to erase, and the log that it told has lost: ``crm.changes`` may tell of it no more."""
        commands = directory.not_carried_out(old, self._tables.erasure_rules())
        if commands:
            sent, _ = send_located(self._settings.kafka, commands)
            self._say(f"the directory: {sent} commands of erasures that nothing had carried out are sent again")

    def _take_back_what_left_the_crm(self, old: directory.Rows) -> None:
        """Rows that the old directory knows and the CRM has no more: their end may have been in a topic that is gone, and an erasure begins with it."""
        known = directory.of_the_crm(old, self._mapping.crm)
        crm = CrmRepair(self._settings.kafka, self._settings.crm_db, self._mapping)
        try:
            gone = crm.take_back_what_is_gone(known, self._settings.rebuild.vanished_customers)
        except VanishedCustomers as error:
            raise RebuildError(
                f"{error}; a rebuild erases what they have, for good: see that it is the right database, and whole; "
                f"where they are gone indeed, set BIONICPRO_REBUILD__VANISHED_CUSTOMERS={error.number} and start the rebuild again"
            ) from None
        if gone:
            self._say(f"the directory: {gone} rows that the CRM has no more are taken back")

    def _await_caught_up(self, patience: Patience) -> None:
        # The end of a transaction counts as a record and is never handled.
        patience.until_few(lambda: self._waiting(CRM_TOPIC), 1, f"records of {CRM_TOPIC} to catch up with")
        patience.until_few(lambda: self._waiting(LOG_TOPIC), CAUGHT_UP, f"records of {LOG_TOPIC} to catch up with")

    def _waiting(self, name: str) -> int:
        topic, handled = self._broker.topics([name])[name], self._tables.handled(name)
        return sum(end - 1 - max(handled.get(p, -1), topic.starts[p] - 1) for p, end in topic.ends.items())

    def _from_raw(self, patience: Patience) -> None:
        """Let the new generation's workers fold raw, a portion of prostheses at a time, so that no batch becomes too long."""
        left = [(prosthesis, rows) for prosthesis, rows in self._tables.raw_counts(of_old=False) if prosthesis > self._plan.cursor]
        done = 0
        for portion in self._portions(left):
            _, places = send_located(self._settings.kafka, recomputes(portion, self._generation))
            patience.until(partial(self._is_handled, places), f"{len(portion)} prostheses are folded")
            done += len(portion)
            self._say(f"folded {done} of {len(left)} prostheses")
            self._note(self._plan.at("fold", portion[-1]))

    def _is_handled(self, places: Mapping[int, int]) -> bool:
        handled = self._tables.handled(LOG_TOPIC)
        return all(handled.get(partition, -1) >= offset for partition, offset in places.items())

    def _from_postgres(self, patience: Patience) -> None:
        self._ask_for_everything()
        # PostgreSQL grows while it is read, so it is counted again at the end.
        while self._to_come() > 0:
            patience.until_few(self._to_come, 0, f"of {self._expected} rows to come from PostgreSQL", again=self._ask_for_everything)
            self._expected = self._rows_to_expect()

    def _ask_for_everything(self) -> None:
        """Where it is asked for again nothing has come for a while: perhaps rows that were waited for are gone, or erased."""
        ask_for_everything(self._settings, self._mapping)
        self._expected = self._rows_to_expect()

    def _rows_to_expect(self) -> int:
        return rows_to_expect(self._settings, self._mapping, self._since, self._tables.erased())

    def _to_come(self) -> int:
        return max(0, self._expected - self._tables.live_rows(self._since))

    @property
    def _since(self) -> date | None:
        return self._retention.first_verifiable(self._today)

    def _verify(self, patience: Patience) -> None:
        """Compare with PostgreSQL and repair what differs, but for closed days, whose reports stay (ADR 17). Then let readers see the generation."""
        if (first_open := self._retention.first_open(self._today)) is not None:
            self._tables.carry_over(first_open, same_log=self._plan.source == "tables")
        found = repairs.plan(self._settings, None, None, self._say, generation=self._generation, states=unlike)
        for _ in range(ROUNDS):
            if found.is_empty:
                break
            self._say(f"mending: {'; '.join(list(found.lines())[:2])}")
            found = repairs.carry_out(self._settings, found, self._say, states=unlike)
        # Where neither side has a report there is nothing that could differ.
        nothing = found.verification.found.rows == 0
        if not found.is_empty or not (found.verification.ok or nothing):
            raise RebuildError(
                "\n".join([*found.lines(), f"generation {self._generation} is not shown to readers; start the rebuild again to go on"])
            )
        self._rows = found.verification.found.rows
        self._await_caught_up(patience)
        self._migrator.serve(self._generation, plans.encode(self._plan.at("handover")))
        self._say(f"readers see generation {self._generation}")

    def _handed_over(self, worker: OwnWorker) -> bool:
        """Whether other workers joined the group within the time for it: those that follow what readers see are started again by themselves."""
        start_workers(self._limits.start_workers, self._say)
        patience = Patience(self._limits.handover_s, self._say, worker.check)
        return patience.reached(lambda: len(self._broker.group(self._group).members) > 1, "another worker takes over")
