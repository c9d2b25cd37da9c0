"""The mart, the raw table and the processor's progress as the account ``auditor`` reads them in ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources

from clickhouse_driver import Client

from reconciliation.day_range import DayRange
from reconciliation.digests import DayDigest, Digest
from reconciliation.erasures import Erased, read_erased
from reconciliation.fields import FIELDS, Key, Report, Values, normal
from schemas import mart, raw_telemetry
from schemas.generations import DROPPED, SERVING, database_of
from schemas.mapping import IdType
from schemas.ownership import OwnershipDocument
from schemas.ownership import decode as decode_document
from schemas.retention import QUERY as RETENTION_QUERY
from schemas.retention import Retention
from service_kit.clickhouse import connected
from service_kit.generations import read_generations
from service_kit.partition_progress import read_handled
from service_kit.settings import ClickHouseSettings

_EPOCH = date(1970, 1, 1)
_KEYS_PER_QUERY = 2_000
_BLOCKS = {"max_block_size": 4_096}
_COMPARED = ",\n    ".join(mart.exact(name) for name in FIELDS)
_HASHED = ", '|', ".join(f"toString({raw_telemetry.whole(name)})" for name in raw_telemetry.CONTENT)
UUID_TEXT = "lower(concat(leftPad(hex(event_id_hi), 16, '0'), leftPad(hex(event_id_lo), 16, '0')))"
_CONTENT = ",\n    ".join(raw_telemetry.whole(name) for name in raw_telemetry.CONTENT)


class MartError(RuntimeError):
    """The mart is not in a state that can be compared; the message says why and what to do."""


@dataclass(frozen=True)
class Position:
    """Where in the log a row of the mart comes from: the highest offset in it, in its partition."""

    partition: int
    version: int


@contextmanager
def serving_mart(settings: ClickHouseSettings, generation: int | None = None) -> Iterator[Mart]:
    """The generation that readers see, or *generation*. Raises MartError where none or several serve, or that one has no tables."""
    with connected(settings, settings.database) as client:
        number = _serving(client, settings.database) if generation is None else _built(client, settings.database, generation)
        retention = Retention.of(client.execute(RETENTION_QUERY))
    database = database_of(settings.database, number)
    with connected(settings, database) as client:
        yield Mart(client, database, retention)


def _serving(client: Client, shared: str) -> int:
    found = [one.number for one in read_generations(client, shared) if one.state == SERVING]
    if len(found) != 1:
        numbers = ", ".join(map(str, found)) or "none"
        raise MartError(f"{shared}.generations must name one serving generation, it names {numbers}: run `bionicpro schema migrate`")
    return found[0]


def _built(client: Client, shared: str, generation: int) -> int:
    found = [one.number for one in read_generations(client, shared) if one.state != DROPPED]
    if generation not in found:
        raise MartError(f"{shared} has no generation {generation}; it has {', '.join(map(str, found)) or 'none'}")
    return generation


@dataclass(frozen=True)
class Mart:
    """One generation's tables, read with FINAL: what is seen is what merges would leave. *client* has the generation's database as its own."""

    client: Client
    database: str
    retention: Retention

    def rows_before(self, day: date) -> int:
        """How many reports there are of days before *day*."""
        query = "SELECT count() FROM user_daily_reports FINAL WHERE toInt32(report_date) < %(day)s"
        return int(self.client.execute(query, {"day": _number(day)})[0][0])

    def erased(self) -> tuple[Erased, ...]:
        """The erasure rules in force now; all generations share them."""
        return read_erased(self.client, self.database.rpartition("_g")[0])

    def days(self) -> set[date]:
        """The days that have a report."""
        return {_date(day) for (day,) in self.client.execute("SELECT DISTINCT toInt32(report_date) FROM user_daily_reports FINAL")}

    def each_report(self, days: DayRange) -> Iterator[Report]:
        """All reports of *days*, in the order of keys. Nothing else may be asked of the client until all have been taken: some at a time are held here."""
        return ((key, values) for key, values, _ in self._reports(days, ("",), every=True))

    def reports_of(self, prostheses: Sequence[str], days: DayRange) -> Iterator[tuple[Key, Values, Position]]:
        """The reports of *prostheses* and *days*, in no order that could be told, and where in the log each comes from. As with ``each_report``, the client is busy meanwhile."""
        for named in _portions(prostheses):
            yield from self._reports(days, named, every=False)

    def _reports(self, days: DayRange, prostheses: tuple[str, ...], *, every: bool) -> Iterator[tuple[Key, Values, Position]]:
        parameters = {"first": _number(days.first), "last": _number(days.last), "every": int(every), "prostheses": prostheses}
        for user_id, day, prosthesis_id, partition, version, *values in self.client.execute_iter(
            _query("mart"), parameters, settings=_BLOCKS
        ):
            yield Key(user_id, _date(day), prosthesis_id), normal(values), Position(partition, version)

    def handled(self, topic: str) -> dict[int, int]:
        """The highest offset handled of each partition of *topic* that has any progress."""
        return read_handled(self.client, topic, self.database)

    def last_positions(self, keys: Iterable[Key]) -> dict[Key, Position]:
        """The highest version ever written of each of *keys*, deleted rows included, as long as no merge has dropped them."""
        wanted = [(key.user_id, _number(key.report_date), key.prosthesis_id) for key in keys]
        found: dict[Key, Position] = {}
        for at in range(0, len(wanted), _KEYS_PER_QUERY):
            rows = self.client.execute(_query("mart_positions"), {"keys": tuple(wanted[at : at + _KEYS_PER_QUERY])})
            found |= {Key(user, _date(day), prosthesis): Position(part, version) for user, day, prosthesis, part, version in rows}
        return found

    def documents(self, prostheses: Sequence[str]) -> dict[str, OwnershipDocument]:
        """The ownership documents in force of *prostheses*; those without one are left out."""
        query = "SELECT document FROM ownership FINAL WHERE prosthesis_id IN %(ids)s"
        found: dict[str, OwnershipDocument] = {}
        for at in range(0, len(prostheses), _KEYS_PER_QUERY):
            for (document,) in self.client.execute(query, {"ids": tuple(prostheses[at : at + _KEYS_PER_QUERY])}):
                decoded = decode_document(document.encode())
                found[decoded.prosthesis_id] = decoded
        return found

    def all_documents(self) -> Iterator[OwnershipDocument]:
        """The ownership documents in force of all prostheses, a block at a time."""
        for (document,) in self.client.execute_iter("SELECT document FROM ownership FINAL"):
            yield decode_document(document.encode())

    def raw_days(self) -> set[date]:
        """The UTC days that raw telemetry was recorded in."""
        query = "SELECT DISTINCT toInt32(toDate32(recorded_at)) FROM telemetry_events FINAL WHERE deleted = 0"
        return {_date(day) for (day,) in self.client.execute(query)}

    def raw_digests(self, first_us: int, end_us: int, id_type: IdType) -> Iterator[DayDigest]:
        """Raw telemetry recorded in [first_us, end_us) that is not deleted, by prosthesis and UTC day, in their order. As with ``each_report``, the client is busy meanwhile."""
        query = (
            _query("raw_digests").replace("{id}", UUID_TEXT if id_type == "uuid" else "toString(event_id_lo)").replace("{hashed}", _HASHED)
        )
        for prosthesis, day, count, checksum in self.client.execute_iter(query, {"first_us": first_us, "end_us": end_us}):
            yield (prosthesis, day), Digest(count, checksum)

    def raw_events(
        self, first_us: int, end_us: int, prostheses: Sequence[str]
    ) -> Iterator[tuple[str, int, int, tuple[int | str, ...], Position]]:
        """Raw telemetry of *prostheses*, recorded in [first_us, end_us), that is not deleted: prosthesis, id in halves, content, position."""
        for named in _portions(prostheses):
            for row in self.client.execute_iter(_query("raw"), {"first_us": first_us, "end_us": end_us, "prostheses": named}):
                yield row[0], row[1], row[2], tuple(row[3:-2]), Position(row[-2], row[-1])

    def raw_contents(self, keys: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], tuple[int | str, ...]]:
        """The content of those of *keys* that raw telemetry holds, not deleted."""
        found: dict[tuple[str, int, int], tuple[int | str, ...]] = {}
        for at in range(0, len(keys), _KEYS_PER_QUERY):
            batch = tuple(tuple(key) for key in keys[at : at + _KEYS_PER_QUERY])
            found |= {row[:3]: tuple(row[3:]) for row in self.client.execute(_query("raw_by_id"), {"keys": batch})}
        return found


def _query(name: str) -> str:
    text = resources.files("reconciliation").joinpath("sql", f"{name}.sql").read_text("utf-8")
    return text.replace("{fields}", _COMPARED).replace("{content}", _CONTENT)


def _portions(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """*names* in as many portions as the length of a query asks for."""
    for at in range(0, len(names), _KEYS_PER_QUERY):
        yield tuple(names[at : at + _KEYS_PER_QUERY])


def _number(day: date) -> int:
    """Days since 1970-01-01: a parameter of type date would be read as Date, whose years are fewer than Date32's."""
    return (day - _EPOCH).days


def _date(number: int) -> date:
    return _EPOCH + timedelta(days=number)
