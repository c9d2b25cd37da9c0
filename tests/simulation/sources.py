"""The sources as Debezium tells them: telemetry with its snapshots, the CRM, and what each would be by the naive recomputation."""

from __future__ import annotations

import itertools
import json
from typing import Any

from schemas.erasure import ErasureRequest, encode_request, request_key
from schemas.keys import CRM_TOPIC, LOG_TOPIC, heartbeat_key, partition_of
from schemas.ownership import Ownership, OwnershipDocument
from tests.simulation.broker import Broker, Transaction
from tests.support.log_model import PARTITIONS, Sources, iso

Row = dict[str, Any]
TS_BASE_MS = 1_800_000_000_000


class Telemetry(Sources):
    """The table of telemetry. What it says waits in *wal* until the connector takes it; rows of an incremental snapshot are never sent again."""

    def __init__(self) -> None:
        super().__init__()
        self.wal: list[tuple[bytes, bytes | None, bool]] = []
        self._window: dict[int, Row] | None = None
        self._once = False

    def _append(self, key: bytes, value: bytes | None) -> None:
        self.wal.append((key, value, self._once))

    def _emit(self, op: str, before: Row | None, after: Row | None, *, same_lsn: bool = False, lsn: int | None = -1) -> None:
        row = after or before or {}
        if self._window is not None and lsn is not None:
            self._window.pop(row["event_id"], None)
        self._once = lsn is None
        super()._emit(op, before, after, same_lsn=same_lsn, lsn=lsn)
        self._once = False

    def begin_window(self) -> None:
        """An incremental snapshot reads a chunk: rows as they are now. What changes before its window closes is left out of it."""
        if self._window is None:
            self._window = {event_id: dict(row) for event_id, row in self.rows.items()}

    def end_window(self) -> None:
        window, self._window = self._window or {}, None
        for row in window.values():
            self._emit("r", None, row, lsn=None)

    def backup(self) -> tuple[dict[int, Row], int, int]:
        return {event_id: dict(row) for event_id, row in self.rows.items()}, self.last_id, self.lsn

    def go_back(self, backup: tuple[dict[int, Row], int, int]) -> None:
        """As PostgreSQL restored to an earlier point: ids are given again, and LSNs go back with them."""
        rows, self.last_id, self.lsn = backup
        self.rows = {event_id: dict(row) for event_id, row in rows.items()}
        self._window = None

    def beat(self) -> None:
        for number in range(PARTITIONS):
            key = heartbeat_key(number, PARTITIONS)
            source = {"lsn": self.lsn, "ts_ms": TS_BASE_MS + self.lsn, "table": "pipeline_heartbeats"}
            row = {"log_key": key, "beat_at": iso(0)}
            self._append(key.encode(), json.dumps({"op": "u", "before": row, "after": row, "source": source}).encode())


class Crm:
    """Customers, contracts and prostheses, by id."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[int, Row]] = {"customers": {}, "contracts": {}, "prostheses": {}}
        self.wal: list[tuple[bytes, bytes | None, bool]] = []
        self.users: dict[int, set[str]] = {}
        """Every user whom a customer ever was."""
        self.now_us = TS_BASE_MS * 1000

    def put(self, table: str, row: Row) -> None:
        of = self.tables[table]
        identity = row[self.id_of(table)]
        before = of.get(identity)
        of[identity] = row
        if table == "customers":
            self.users.setdefault(identity, set()).add(row["user_id"])
        self._say(table, "c" if before is None else "u", before, row)

    def drop(self, table: str, identity: int) -> None:
        before = self.tables[table].pop(identity, None)
        if before is not None:
            self._say(table, "d", before, None)

    def drop_customer(self, customer: int) -> None:
        """With his contracts, as foreign keys want it."""
        for contract in [c for c, row in self.tables["contracts"].items() if row["customer_id"] == customer]:
            self.drop("contracts", contract)
        self.drop("customers", customer)

    def request_erasure(self, customer: int, until_us: int) -> None:
        """As ``bionicpro erase`` asks for it."""
        request = ErasureRequest(request_id=str(len(self.wal)), issued_us=until_us, customer_id=str(customer))
        self.wal.append((request_key(request.request_id), encode_request(request), False))

    @staticmethod
    def id_of(table: str) -> str:
        return {"customers": "customer_id", "contracts": "contract_id", "prostheses": "prosthesis_id"}[table]

    def _say(self, table: str, op: str, before: Row | None, after: Row | None) -> None:
        self.now_us += 1_000_000
        source = {"table": table, "ts_ms": self.now_us // 1000, "ts_us": self.now_us}
        row = after or before or {}
        key = json.dumps({"table": table, "id": row[self.id_of(table)]}).encode()
        self.wal.append((key, json.dumps({"op": op, "before": before, "after": after, "source": source}).encode(), False))

    def documents(self) -> dict[str, OwnershipDocument]:
        """Who owned what when, by the most direct reading of docs/metrics.md."""
        prostheses = {row["prosthesis_id"] for row in self.tables["contracts"].values()}
        return {str(prosthesis): self._document(prosthesis) for prosthesis in prostheses}

    def _document(self, prosthesis: int) -> OwnershipDocument:
        row = self.tables["prostheses"].get(prosthesis, {})
        contracts = [
            c
            for c in self.tables["contracts"].values()
            if c["prosthesis_id"] == prosthesis and c["customer_id"] in self.tables["customers"]
        ]
        bounds = sorted({c["starts_us"] for c in contracts} | {c["ends_us"] for c in contracts if c["ends_us"] is not None})
        pieces: list[Ownership] = []
        for begin, end in itertools.pairwise([*bounds, None]):
            holding = [c for c in contracts if c["starts_us"] <= begin and (c["ends_us"] is None or begin < c["ends_us"])]
            if holding:
                winner = max(holding, key=lambda c: (c["starts_us"], c["contract_id"]))
                if pieces and pieces[-1].ends_us == begin and pieces[-1].contract_id == str(winner["contract_id"]):
                    begin = pieces.pop().starts_us  # noqa: PLW2901 - the joined piece begins where its first part did
                pieces.append(self._piece(winner, begin, end))
        return OwnershipDocument(str(prosthesis), 0, row.get("model", ""), row.get("serial_number", ""), tuple(pieces))

    def _piece(self, contract: Row, begin: int, end: int | None) -> Ownership:
        customer = self.tables["customers"][contract["customer_id"]]
        return Ownership(
            begin, end, customer["user_id"], str(customer["customer_id"]), customer["full_name"], customer["timezone"],
            str(contract["contract_id"]), contract["number"],
        )  # fmt: skip


class Connector:
    """Takes a source's *wal* to the broker in transactions. After a crash a range may come again, under new offsets."""

    def __init__(self, broker: Broker, wal: list[tuple[bytes, bytes | None, bool]], topic: str) -> None:
        self._broker = broker
        self._wal = wal
        self._topic = topic
        self._position = 0
        self._open: Transaction | None = None
        self._reached = 0
        self._first = 0

    @property
    def is_done(self) -> bool:
        return self._open is None and self._position == len(self._wal)

    def begin(self, count: int) -> int:
        """Write up to *count* records in a transaction that stays open. Returns how many."""
        if self._open is not None or self._position == len(self._wal):
            return 0
        self._open, self._reached = Transaction(), min(len(self._wal), self._position + count)
        for key, value, _ in self._wal[self._position : self._reached]:
            number = partition_of(key, PARTITIONS) if self._topic == LOG_TOPIC else 0
            self._broker.append_in(self._open, self._topic, number, key, value)
        return self._reached - self._position

    def finish(self, *, commit: bool) -> None:
        if self._open is not None:
            self._broker.finish(self._open, commit=commit)
            self._open = None
            if commit:
                self._position = self._reached

    def begin_anew(self) -> None:
        """With a new slot: what was not sent never is, and nothing from before comes again."""
        self.finish(commit=True)
        self._position = self._first = len(self._wal)

    def forget(self) -> None:
        """The topic of the open transaction is no more; what it held is sent again."""
        self._open = None

    def repeat(self, count: int) -> int:
        """The last *count* records come again, but for those that are read anew instead. Returns how many."""
        again = [entry for entry in self._wal[max(self._first, self._position - count) : self._position] if not entry[2]]
        transaction = Transaction()
        for key, value, _ in again:
            number = partition_of(key, PARTITIONS) if self._topic == LOG_TOPIC else 0
            self._broker.append_in(transaction, self._topic, number, key, value)
        self._broker.finish(transaction, commit=True)
        return len(again)


TOPICS = {LOG_TOPIC: PARTITIONS, CRM_TOPIC: 1}
