"""The sources as Debezium tells them: telemetry with its snapshots, the CRM, and what each would be by the naive recomputation."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from schemas.commands import Command, encode_command
from schemas.erasure import ErasureRequest, encode_request, request_key
from schemas.keys import CRM_TOPIC, LOG_TOPIC, crm_key, heartbeat_key, partition_of
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership, OwnershipDocument
from stream_processor.directory_service import KEY_CHANGED
from tests.simulation.broker import Broker, Headers, Stored, Transaction
from tests.support.log_model import PARTITIONS, Sources, iso

Row = dict[str, Any]
TS_BASE_MS = 1_800_000_000_000
INTEGERS = SourceMapping.read()
_event_id = INTEGERS.telemetry.event_id.model_copy(update={"type": "uuid"})
UUIDS = INTEGERS.model_copy(update={"telemetry": INTEGERS.telemetry.model_copy(update={"event_id": _event_id})})


def uuid_of(event_id: int) -> UUID:
    """The id of the event as a UUID: always the same, and in no order."""
    return UUID(int=Random(event_id).getrandbits(128), version=4)


class Entry(NamedTuple):
    """What a source says. *once*: a row of an incremental snapshot, which is read anew instead of sent again."""

    key: bytes
    value: bytes | None
    once: bool = False
    headers: Headers = ()


class Telemetry(Sources):
    """The table of telemetry. What it says waits in *wal* until the connector takes it; rows of an incremental snapshot are never sent again. *uuids*: its ids have no order."""

    def __init__(self, *, uuids: bool = False) -> None:
        super().__init__()
        self.uuids = uuids
        self.mapping = UUIDS if uuids else INTEGERS
        self.wal: list[Entry] = []
        self._window: dict[int, Row] | None = None
        self._once = False

    def _append(self, key: bytes, value: bytes | None) -> None:
        self.wal.append(Entry(key, value, self._once))

    def _emit(self, op: str, before: Row | None, after: Row | None, *, same_lsn: bool = False, lsn: int | None = -1) -> None:
        row = after or before or {}
        if self._window is not None and lsn is not None:
            self._window.pop(row["event_id"], None)
        self._once = lsn is None
        super()._emit(op, before, after, same_lsn=same_lsn, lsn=lsn)
        self._once = False

    def halves(self, event_id: int) -> tuple[int, int]:
        """An event id as raw holds it."""
        number = uuid_of(event_id).int if self.uuids else event_id
        return number >> 64, number & (1 << 64) - 1

    def _wire(self, row: Row | None) -> Row | None:
        told = super()._wire(row)
        return told if told is None or not self.uuids else told | {"event_id": str(uuid_of(told["event_id"]))}

    @property
    def is_read_again(self) -> bool:
        """Whether an incremental snapshot is at work."""
        return self._window is not None

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

    def command(self, command: Command) -> None:
        """An operator's, straight to the log."""
        self._append(command.prosthesis_id.encode(), encode_command(command))

    def beat(self) -> None:
        for number in range(PARTITIONS):
            key = heartbeat_key(number, PARTITIONS)
            source = {"lsn": self.lsn, "ts_ms": TS_BASE_MS + self.lsn, "table": "pipeline_heartbeats"}
            row = {"log_key": key, "beat_at": iso(0)}
            self._append(key.encode(), json.dumps({"op": "u", "before": row, "after": row, "source": source}).encode())


@dataclass
class Owed:
    """A *contract* that was deleted; *times*: what of it nobody else had when its customer went, None before that. *told*: what it was when it went was told before its delete."""

    contract: Row
    times: list[tuple[int, int]] | None = None
    told: bool = True


class Crm:
    """Customers, contracts and prostheses, by id."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[int, Row]] = {"customers": {}, "contracts": {}, "prostheses": {}}
        self.wal: list[Entry] = []
        self.users: dict[int, set[str]] = {}
        """Every user whom a customer ever was."""
        self.now_us = TS_BASE_MS * 1000
        self.owed: dict[int, Owed] = {}
        """By contract that was deleted, whatever of it goes with its customer."""
        self._untold: set[int] = set()
        """Contracts that are what nobody was told, since the CRM went back or a change was lost."""
        self._believed: dict[int, Row] = {}
        """What is still believed of such contracts: by that it is decided what is another's."""
        self._numbers = 1_000
        """The last number that a contract was given when its number changed."""
        self.has_untold_changes = False
        """Changes were lost, and the rows have not been read again since."""

    def put(self, table: str, row: Row) -> None:
        of = self.tables[table]
        identity = row[self.id_of(table)]
        before = of.get(identity)
        of[identity] = row
        if table == "contracts":
            self.owed.pop(identity, None)
            self._untold.discard(identity)
            self._believed.pop(identity, None)
        if table == "customers":
            self._note_user(row)
        self._say(table, "c" if before is None else "u", before, row)

    def _note_user(self, customer: Row) -> None:
        if customer["user_id"] is not None:
            self.users.setdefault(customer["customer_id"], set()).add(customer["user_id"])

    def lose(self, table: str, row: Row) -> None:
        """A row that is there becomes *row*, and nobody is told."""
        self.has_untold_changes = True
        identity = row[self.id_of(table)]
        before, self.tables[table][identity] = self.tables[table][identity], row
        if table == "contracts":
            self._untold.add(identity)
            self._believed.setdefault(identity, before)
        else:
            self._note_user(row)

    def drop(self, table: str, identity: int) -> None:
        before = self.tables[table].pop(identity, None)
        if before is not None:
            self._say(table, "d", before, None)
            self.wal.append(Entry(self._key(table, before), None))
        if before is not None and table == "contracts":
            self._believed.pop(identity, None)
            self.owed[identity] = Owed(before, told=identity not in self._untold)

    def renumber(self, customer: int) -> None:
        """The customer's number changes, and with it that of his contracts, as ``ON UPDATE CASCADE`` has it."""
        row, number = self.tables["customers"].pop(customer), max(self.users) + 1
        now = row | {"customer_id": number}
        headers = ((KEY_CHANGED, json.dumps({"customer_id": number}).encode()),)
        self._say("customers", "d", row, None, headers)
        self.wal.append(Entry(self._key("customers", row), None, headers=headers))
        self.tables["customers"][number] = now
        self.users[number] = self.users.pop(customer)
        self._say("customers", "c", None, now)
        for contract in [c for c in self.tables["contracts"].values() if c["customer_id"] == customer]:
            self.put("contracts", contract | {"customer_id": number})
        for owed in self.owed.values():
            if owed.contract["customer_id"] == customer:
                owed.contract = owed.contract | {"customer_id": number}
        for number_of, believed in self._believed.items():
            if believed["customer_id"] == customer:
                self._believed[number_of] = believed | {"customer_id": number}

    def renumber_contract(self, contract: int) -> None:
        row, self._numbers = self.tables["contracts"].pop(contract), self._numbers + 1
        headers = ((KEY_CHANGED, json.dumps({"contract_id": self._numbers}).encode()),)
        self._say("contracts", "d", row, None, headers)
        self.wal.append(Entry(self._key("contracts", row), None, headers=headers))
        self._believed.pop(contract, None)
        self.put("contracts", row | {"contract_id": self._numbers})

    def drop_customer(self, customer: int) -> None:
        """With his contracts, as foreign keys want it."""
        for contract in [c for c, row in self.tables["contracts"].items() if row["customer_id"] == customer]:
            self.drop("contracts", contract)
        if customer in self.tables["customers"]:
            self._fall_due(customer)
        self.drop("customers", customer)

    def _fall_due(self, customer: int) -> None:
        """What was the customer's by contracts that were deleted, and is no one else's now, has to go with him."""
        for owed in self.owed.values():
            if owed.contract["customer_id"] == customer and owed.times is None:
                owed.times = self._without_others(owed.contract, customer)

    def _without_others(self, contract: Row, customer: int) -> list[tuple[int, int]]:
        if contract["starts_us"] is None or contract["prosthesis_id"] is None:
            return []
        begin, end = contract["starts_us"], min(contract["ends_us"] or self.now_us, self.now_us)
        others = [
            (c["starts_us"], c["ends_us"] or self.now_us)
            for c in (*self.tables["contracts"].values(), *self._believed.values())
            if c["prosthesis_id"] == contract["prosthesis_id"] and c["customer_id"] != customer and c["starts_us"] is not None
        ]
        bounds = sorted({begin, end, *(at for other in others for at in other if begin < at < end)})
        pieces = itertools.pairwise(bounds) if begin < end else ()
        return [(first, last) for first, last in pieces if not any(b <= first and last <= e for b, e in others)]

    def told_by_nobody(self, contract: int) -> None:
        """What the contract was at some time cannot be known."""
        if contract in self.owed:
            self.owed[contract].times = []

    def end_told_by_nobody(self, customer: int) -> None:
        """The customer was entered again under his number, and nobody can know that he had gone."""
        for owed in self.owed.values():
            if owed.contract["customer_id"] == customer and owed.times is not None:
                owed.times = []

    def tell_nobody(self, contract: int) -> None:
        """What the contract is was told in a topic that is no more."""
        if contract in self.tables["contracts"]:
            self._untold.add(contract)

    def snapshot(self) -> None:
        """All rows once more, as an incremental snapshot tells them."""
        self.has_untold_changes = False
        self._untold.clear()
        self._believed.clear()
        for table, rows in self.tables.items():
            for row in rows.values():
                self._say(table, "r", None, row)

    def told(self, records: Iterable[Stored]) -> dict[str, Row]:
        """The rows that the topic with *records* tells of, by the directory's keys."""
        rows: dict[str, Row] = {}
        for record in records:
            change = json.loads(record.value) if record.value is not None else {}
            if "source" in change:
                table, row = change["source"]["table"], change["after"] or change["before"]
                key = f"{table}:{row[self.id_of(table)]}"
                rows.pop(key, None)
                if change["after"]:
                    rows[key] = row
        return rows

    def take_back(self, table: str, row: Row) -> None:
        """A row that the directory or the topic knows and the CRM has not, as a rebuild tells its end. What others have by then is theirs."""
        for owed in self.owed.values() if table == "customers" else ():
            if owed.contract["customer_id"] == row["customer_id"] and owed.times:
                owed.times = [
                    (max(begin, first), min(end, last))
                    for begin, end in owed.times
                    for first, last in self._without_others(owed.contract, row["customer_id"])
                    if max(begin, first) < min(end, last)
                ]
        self._say(table, "d", row, None)
        self.wal.append(Entry(self._key(table, row), None))

    def backup(self) -> tuple[dict[str, dict[int, Row]], dict[int, Owed]]:
        return copy.deepcopy((self.tables, self.owed))

    def go_back(self, backup: tuple[dict[str, dict[int, Row]], dict[int, Owed]]) -> None:
        """As the CRM restored to an earlier point: nobody is told."""
        now = {**self.tables["contracts"], **self._believed}
        self.tables, owed = copy.deepcopy(backup)
        # What was given to somebody else after the backup counts as a correction, whether or not that is still so. Who is there again owes nothing yet.
        there = self.tables["customers"]
        for customer in there.values():
            self._note_user(customer)  # under the number before it changed
        self.owed = {
            contract: owed[contract] if what.contract["customer_id"] in there else what
            for contract, what in self.owed.items()
            if contract in owed
        }
        self._believed = now
        self._untold = {contract for contract, row in self.tables["contracts"].items() if row != now.get(contract)}

    def request_erasure(self, customer: int, until_us: int) -> None:
        """As ``bionicpro erase`` asks for it."""
        request = ErasureRequest(request_id=str(len(self.wal)), issued_us=until_us, customer_id=str(customer))
        self.wal.append(Entry(request_key(request.request_id), encode_request(request)))

    @staticmethod
    def id_of(table: str) -> str:
        return {"customers": "customer_id", "contracts": "contract_id", "prostheses": "prosthesis_id"}[table]

    def _say(self, table: str, op: str, before: Row | None, after: Row | None, headers: Headers = ()) -> None:
        self.now_us += 1_000_000
        source = {"table": table, "ts_ms": self.now_us // 1000, "ts_us": self.now_us}
        value = json.dumps({"op": op, "before": before, "after": after, "source": source}).encode()
        self.wal.append(Entry(self._key(table, after or before or {}), value, headers=headers))

    def _key(self, table: str, row: Row) -> bytes:
        column = self.id_of(table)
        return crm_key(f"crm.{table}", column, row[column])

    def documents(self) -> dict[str, OwnershipDocument]:
        """Who owned what when, by the most direct reading of docs/metrics.md."""
        prostheses = {row["prosthesis_id"] for row in self.tables["contracts"].values()} - {None}
        return {str(prosthesis): self._document(prosthesis) for prosthesis in prostheses}

    def _document(self, prosthesis: int) -> OwnershipDocument:
        row = self.tables["prostheses"].get(prosthesis, {})
        contracts = [
            c
            for c in self.tables["contracts"].values()
            if c["prosthesis_id"] == prosthesis and c["starts_us"] is not None and self._has_login(c["customer_id"])
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

    def _has_login(self, customer: int | None) -> bool:
        return self.tables["customers"].get(customer, {"user_id": None})["user_id"] is not None  # type: ignore[call-overload, no-any-return]

    def _piece(self, contract: Row, begin: int, end: int | None) -> Ownership:
        customer = self.tables["customers"][contract["customer_id"]]
        return Ownership(
            begin, end, customer["user_id"], str(customer["customer_id"]), customer["full_name"], customer["timezone"],
            str(contract["contract_id"]), contract["number"],
        )  # fmt: skip


class Connector:
    """Takes a source's *wal* to the broker in transactions. After a crash a range may come again, under new offsets."""

    def __init__(self, broker: Broker, wal: list[Entry], topic: str) -> None:
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
        self._append(self._open, self._wal[self._position : self._reached])
        return self._reached - self._position

    def _append(self, transaction: Transaction, entries: Iterable[Entry]) -> None:
        for key, value, _, headers in entries:
            number = partition_of(key, PARTITIONS) if self._topic == LOG_TOPIC else 0
            self._broker.append_in(transaction, self._topic, number, key, value, headers)

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
        """The last *count* records come again, but for those that are read anew instead. Returns how many.

        What was begun is aborted: it is a task that begins anew, and its transactional id fences the one before (KIP-618).
        """
        self.finish(commit=False)
        again = [entry for entry in self._wal[max(self._first, self._position - count) : self._position] if not entry.once]
        transaction = Transaction()
        self._append(transaction, again)
        self._broker.finish(transaction, commit=True)
        return len(again)


TOPICS = {LOG_TOPIC: PARTITIONS, CRM_TOPIC: 1}
