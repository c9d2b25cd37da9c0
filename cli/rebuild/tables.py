"""What a rebuild does in ClickHouse, as the account ``migrator``: copies within the server, counts, and the positions that a new generation begins with.

Everything may be repeated: rows replace themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from reconciliation.erasures import Erased, read_erased
from schemas.erasure_rules import ErasureRule, from_row, select_rules
from schemas.generations import database_of
from schemas.keys import LOG_TOPIC
from schemas.partition_progress import COLUMNS, PartitionProgress, to_row
from service_kit import clickhouse
from service_kit.partition_progress import read_handled, read_progress
from service_kit.settings import ClickHouseSettings

COPY_LIMIT_S = 3600


class Tables:
    """The old and the new generation's tables. Errors of the server are clickhouse_driver's."""

    def __init__(self, settings: ClickHouseSettings, old: int, new: int) -> None:
        self._shared = settings.database
        self._old, self._new = database_of(settings.database, old), database_of(settings.database, new)
        self._client = clickhouse.client(settings, send_receive_timeout=COPY_LIMIT_S)

    def close(self) -> None:
        self._client.disconnect()

    def positions(self) -> list[PartitionProgress]:
        """How far the old generation is, in each partition of each topic."""
        return read_progress(self._client, self._old)

    def begin_at(self, begins: Mapping[int, int], topic_id: str) -> None:
        """Let the new generation count everything of the log before *begins* as handled."""
        known = {row.partition: row.as_of_ms for row in self.positions() if row.topic == LOG_TOPIC}
        rows = [
            PartitionProgress(LOG_TOPIC, partition, topic_id, len(begins), offset - 1, known.get(partition, 0))
            for partition, offset in begins.items()
            if offset > 0
        ]
        if rows:
            insert = f"INSERT INTO {self._new}.partition_progress ({', '.join(COLUMNS)}) VALUES"
            self._client.execute(insert, list(map(to_row, rows)))

    def handled(self, topic: str) -> dict[int, int]:
        """The last offset of *topic* that is in the new generation, by partition."""
        return read_handled(self._client, topic, self._new)

    def raw_counts(self, *, of_old: bool) -> list[tuple[str, int]]:
        """Every prosthesis that raw has, in order, with about how many rows."""
        database = self._old if of_old else self._new
        query = f"SELECT prosthesis_id, count() FROM {database}.telemetry_events GROUP BY prosthesis_id ORDER BY prosthesis_id"
        return [(prosthesis, int(rows)) for prosthesis, rows in self._client.execute(query)]

    def erasure_rules(self) -> list[ErasureRule]:
        """The erasure rules in force now; all generations share them."""
        return [from_row(row) for row in self._client.execute(select_rules(f"{self._shared}.erasure_rules"))]

    def erased(self) -> tuple[Erased, ...]:
        """The times that the rules cover."""
        return read_erased(self._client, self._shared)

    def live_rows(self, since: date | None) -> int:
        """Events in the new generation's raw that are not deleted, of the UTC days from *since* on."""
        query = f"SELECT count() FROM {self._new}.telemetry_events FINAL WHERE deleted = 0 AND toDate32(recorded_at) >= toDate32(%(since)s)"
        return int(self._client.execute(query, {"since": (since or date(1970, 1, 1)).isoformat()})[0][0])

    def copy_raw_before(self, day: date) -> None:
        """Raw telemetry recorded before *day* (UTC) from the old generation, of another log: it counts as known from this log's beginning."""
        self._client.execute(
            f"INSERT INTO {self._new}.telemetry_events SELECT * REPLACE (toUInt64(0) AS log_offset) FROM {self._old}.telemetry_events FINAL"
            " WHERE toDate32(recorded_at) < toDate32(%(day)s)",
            {"day": day.isoformat()},
        )

    def copy_raw(self, prostheses: Sequence[str]) -> None:
        """Raw telemetry of *prostheses* (neighbours in order) from the old generation, one row an event, deleted ones too."""
        self._client.execute(
            f"INSERT INTO {self._new}.telemetry_events SELECT * FROM {self._old}.telemetry_events FINAL"
            " WHERE prosthesis_id >= %(first)s AND prosthesis_id <= %(last)s",
            {"first": prostheses[0], "last": prostheses[-1]},
        )

    def copy_ownership(self) -> None:
        self._client.execute(f"INSERT INTO {self._new}.ownership SELECT * FROM {self._old}.ownership FINAL")

    def carry_over(self, before: date, *, same_log: bool) -> None:
        """Reports of the days *before* a day, with their states: what raw or PostgreSQL no longer has can only be kept as it was.

        Of another log than the new generation's they get its first offset as their version, so that everything newer comes after them.
        """
        replaced = {
            "report_state": "next_offset AS next_offset" if same_log else "toUInt64(1) AS next_offset",
            "user_daily_reports": "version AS version" if same_log else "toUInt64(0) AS version",
        }
        for table, column in replaced.items():
            rows = f"SELECT * REPLACE ({column}) FROM {self._old}.{table} FINAL WHERE report_date < toDate32(%(before)s)"
            self._client.execute(f"INSERT INTO {self._new}.{table} {rows}", {"before": before.isoformat()})
