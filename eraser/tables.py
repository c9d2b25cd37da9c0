"""ClickHouse's tables as the eraser reads and changes them, see ``ports.Tables``. Only our own identifiers are put into SQL by text; values are parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clickhouse_driver import Client

from eraser.conditions import NAMED, VERSIONS, condition, inside, moved_ids
from eraser.ports import KEYS_AT_ONCE, Before, EmptyRow, EraserError, Intervals, MovedEvent, Part, Remains
from eraser.rules import Generation, Receipt, State
from schemas.erasure_rules import EPOCH, ErasureRule, from_row, select_rules
from schemas.keys import LOG_TOPIC
from service_kit.generations import read_generations
from service_kit.partition_progress import read_progress

TABLES = ("telemetry_events", "report_state", "ownership", "user_daily_reports")
POLL_S = 0.2
_RECEIPT = "prosthesis_id, erasure_id, subject, reason, requested_at, started_at, removed_at, checked_at, finished_at, removed, version"
_GENERATIONS = (
    "SELECT database FROM system.tables WHERE startsWith(database, %(prefix)s) AND name IN %(tables)s GROUP BY database HAVING count() = 5"
)


@dataclass(frozen=True)
class ClickHouseTables:
    """*client* has the shared database *shared* as its own."""

    client: Client
    shared: str

    def now(self) -> datetime:
        """The server's clock, which the receipts are written by."""
        return _aware(self.client.execute("SELECT now64(3, 'UTC')")[0][0])

    # -- rules and receipts ---------------------------------------------------------------------------------------------

    def rules(self) -> list[ErasureRule]:
        return [from_row(row) for row in self.client.execute(select_rules("erasure_rules"))]

    def receipts(self, rules: Sequence[ErasureRule]) -> dict[tuple[str, str], Receipt]:
        """How far each of *rules* is that was begun."""
        by_key = {rule.key: rule for rule in rules}
        found = {}
        for pid, eid, _, _, _, *times, removed, version in self.client.execute(f"SELECT {_RECEIPT} FROM erasure_receipts FINAL"):
            if (pid, eid) in by_key:
                started, removed_at, checked, finished = (None if at is None else _aware(at) for at in times)
                found[pid, eid] = Receipt(by_key[pid, eid], started or EPOCH, removed_at, checked, finished, removed, version)
        return found

    def keep(self, receipt: Receipt) -> Receipt:
        """Write how far it is; returns it as written."""
        rule, version = receipt.rule, receipt.version + 1
        times = (receipt.started_at, receipt.removed_at, receipt.checked_at, receipt.finished_at)
        row = (*rule.key, rule.subject, rule.reason, rule.issued_at, *times, dict(receipt.removed), version)
        self.client.execute(f"INSERT INTO erasure_receipts ({_RECEIPT}) VALUES", [row])
        return Receipt(rule, *times, receipt.removed, version)

    # -- generations ----------------------------------------------------------------------------------------------------

    def changed_at(self) -> datetime:
        """When a generation was last handed over or retired; the epoch where none ever was. Of one that is being built each step is a change, and none counts."""
        query = f"SELECT max(changed_at) FROM {self.shared}.generations FINAL WHERE state IN ('serving', 'retired')"
        return _aware(self.client.execute(query)[0][0])

    def generations(self, rule: ErasureRule) -> list[Generation]:
        """Every generation whose tables exist, and how far it is in the rule's partition."""
        states = {one.number: one.state for one in read_generations(self.client, self.shared)}
        prefix = f"{self.shared}_g"
        names = [row[0] for row in self.client.execute(_GENERATIONS, {"prefix": prefix, "tables": (*TABLES, "partition_progress")})]
        numbers = sorted(int(name.removeprefix(prefix)) for name in names if name.removeprefix(prefix).isdigit())
        return [self._generation(f"{prefix}{number}", State(states.get(number, "building")), rule) for number in numbers]

    def _generation(self, database: str, state: State, rule: ErasureRule) -> Generation:
        rows = read_progress(self.client, database, LOG_TOPIC)
        handled = {row.partition: row.handled_offset for row in rows}.get(rule.partition, -1)
        return Generation(database, state, rows[0].topic_id, handled) if rows else Generation(database, state, None, None)

    # -- removal --------------------------------------------------------------------------------------------------------

    def moved_events(self, database: str, prosthesis_id: str, intervals: Intervals) -> list[MovedEvent]:
        return list(self.client.execute(f"{moved_ids(database)} LIMIT {KEYS_AT_ONCE}", inside(prosthesis_id, intervals)))

    def user_ids(self, database: str, prosthesis_id: str, *, anywhere: bool) -> list[str]:
        query = (
            f"SELECT user_id FROM {database}.user_daily_reports WHERE prosthesis_id = %(p)s OR %(anywhere)s GROUP BY user_id"
            f" UNION DISTINCT SELECT user_id FROM {database}.report_state WHERE prosthesis_id = %(p)s OR %(anywhere)s GROUP BY user_id"
            " UNION DISTINCT SELECT JSONExtractString(arrayJoin(JSONExtractArrayRaw(document, 'intervals')), 'user_id')"
            f" FROM {database}.ownership WHERE prosthesis_id = %(p)s"
        )
        return [user_id for (user_id,) in self.client.execute(query, {"p": prosthesis_id, "anywhere": int(anywhere)})]

    def empty_rows(self, database: str, table: str, user_id: str, prosthesis_id: str | None, before: Before) -> list[EmptyRow]:
        live = (
            f"SELECT prosthesis_id, toInt32(report_date) FROM {database}.user_daily_reports"
            " WHERE user_id = %(u)s GROUP BY 1, 2 HAVING argMax(is_deleted, version) = 0"
        )
        query = (
            f"SELECT prosthesis_id, toInt32(report_date), max({VERSIONS[table]}) FROM {database}.{table}"
            " WHERE user_id = %(u)s AND (prosthesis_id = %(p)s OR %(anywhere)s)"
            f" AND (prosthesis_id, toInt32(report_date)) NOT IN ({live}) GROUP BY 1, 2 HAVING toInt32(report_date) < %(day)s OR max({VERSIONS[table]}) < %(next)s"
        )
        # A state has the next offset where a report has the last one.
        bounds = {"day": before.day, "next": before.offset if table == "user_daily_reports" else before.offset + 1}
        return list(self.client.execute(query, _of(user_id, prosthesis_id) | bounds))

    def newest_documents(self, database: str, user_id: str, prosthesis_id: str | None) -> list[tuple[str, int]]:
        query = (
            f"SELECT prosthesis_id, max(crm_offset) FROM {database}.ownership WHERE (prosthesis_id = %(p)s OR %(anywhere)s)"
            f" GROUP BY prosthesis_id HAVING countIf({NAMED}) > 0 LIMIT {KEYS_AT_ONCE}"
        )
        return list(self.client.execute(query, _of(user_id, prosthesis_id)))

    def count(self, database: str, what: Remains) -> int:
        text, parameters = condition(what, database)
        return int(self.client.execute(f"SELECT count() FROM {database}.{what.table} WHERE {text}", parameters)[0][0])

    def delete(self, database: str, what: Remains, deadline_s: float) -> None:
        """Rewrite the parts that hold such rows, and wait until it is done."""
        text, parameters = condition(what, database)
        self.client.execute(f"ALTER TABLE {database}.{what.table} DELETE WHERE {text} SETTINGS mutations_sync = 0", parameters)
        self._await(lambda: self._unfinished(database, what.table), deadline_s)

    def _unfinished(self, database: str, table: str) -> str | None:
        query = "SELECT count(), any(latest_fail_reason) FROM system.mutations WHERE database = %(d)s AND table = %(t)s AND NOT is_done"
        count, reason = self.client.execute(query, {"d": database, "t": table})[0]
        return f"{database}.{table}: {count} mutations are not done: {reason.splitlines()[0] if reason else 'they run'}" if count else None

    def _await(self, unfinished: Callable[[], str | None], deadline_s: float) -> None:
        until = time.monotonic() + deadline_s
        while (problem := unfinished()) is not None:
            if time.monotonic() > until:
                raise EraserError(problem)
            time.sleep(POLL_S)

    def old_parts(self, databases: Sequence[str], at_least_s: float = 0) -> set[Part]:
        """Parts that merges and mutations have replaced, at least that long ago, and whose files are still there."""
        query = (
            "SELECT database, table, name FROM system.parts"
            " WHERE NOT active AND database IN %(d)s AND table IN %(t)s AND remove_time <= now() - %(s)s"
        )
        return set(self.client.execute(query, {"d": tuple(databases) or ("",), "t": TABLES, "s": at_least_s}))

    def delete_files(self, database: str, table: str) -> None:
        """Have the files of replaced parts deleted now, those younger than the table's ``old_parts_lifetime`` excepted.

        In a table where nothing happens ClickHouse looks for them ever more seldom (up to ten minutes). Dropping a partition, here one that cannot be,
        makes it look at once. Merges that run are begun again.
        """
        self.client.execute(f"ALTER TABLE {database}.{table} DROP PARTITION ID 'none'")


def _of(user_id: str, prosthesis_id: str | None) -> dict[str, Any]:
    """Parameters; a prosthesis of None is any."""
    return {"u": user_id, "p": prosthesis_id or "", "anywhere": int(prosthesis_id is None)}


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
