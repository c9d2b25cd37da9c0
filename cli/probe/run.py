"""Commits marks at a rate while a thread watches for them; then takes them away again."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Condition, Event, Thread

from cli.probe import subject
from cli.probe.observers import Observer, ObserverError
from service_kit.settings import PostgresSettings


@dataclass(frozen=True)
class Plan:
    """*count* marks, *rate* a second; a mark that is not seen within *deadline_s* after the last one is missing."""

    count: int
    rate: float
    deadline_s: float


@dataclass(frozen=True)
class Outcome:
    """Seconds from commit to the first look that shows it, of each mark that was seen, how many were not, and the prefix of the run's codes.

    *pushed*: seconds from the last look at the mart without the mark to the first look that shows it, where the mart was watched beside it.
    """

    prefix: str
    seconds: tuple[float, ...]
    missing: int
    event_ids: tuple[int, ...]
    pushed: tuple[float, ...] = ()


class Watcher:
    """Notes when each code is first seen, in a thread of its own. An error of the observer is raised to who waits."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._seen: dict[str, float] = {}
        self._absent: dict[str, float] = {}
        self._error: Exception | None = None
        self._stop = Event()
        self._news = Condition()
        # A daemon: a stream ends its wait only with the next event.
        self._thread = Thread(target=self._watch, name="probe watcher", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(1.0)

    def wait(self, codes: set[str], deadline_s: float) -> Mapping[str, float]:
        """When each of *codes* was seen (``time.perf_counter``), those that were within *deadline_s*. Raises the observer's error."""
        with self._news:
            self._news.wait_for(lambda: self._error is not None or codes <= self._seen.keys(), deadline_s)
            if self._error is not None:
                raise self._error
            return {code: at for code, at in self._seen.items() if code in codes}

    def absent(self, code: str) -> float | None:
        """When there was a look, the last one, that did not show *code*, which a later one did."""
        with self._news:
            return self._absent.get(code)

    def _watch(self) -> None:
        before = time.perf_counter()
        try:
            for codes in self._observer.looks(self._stop):
                at = time.perf_counter()
                with self._news:
                    for code in codes - self._seen.keys():
                        self._seen[code], self._absent[code] = at, before
                    self._news.notify_all()
                before = at
        except Exception as error:
            with self._news:
                self._error = error
                self._news.notify_all()


def measure(
    telemetry: PostgresSettings, prosthesis: int, observer: Observer, plan: Plan, *, keep: bool, mart: Observer | None = None
) -> Outcome:
    """Carry *plan* out. The marks are deleted whatever happens, unless *keep*. *mart* is watched beside the observer, to tell the last part of the way.

    A first mark that is not counted waits for connections, the ownership document and caches. Raises ObserverError where it is not seen,
    psycopg.Error, and what the observer raises.
    """
    prefix = f"PROBE.{secrets.token_hex(4)}."
    ids: list[int] = []
    with ExitStack() as stack:
        connection = stack.enter_context(subject.connect(telemetry))
        watcher = stack.enter_context(Watcher(observer))
        beside = stack.enter_context(Watcher(mart)) if mart is not None else None
        try:
            ids.append(subject.insert(connection, prosthesis, first := f"{prefix}first"))
            if not watcher.wait({first}, plan.deadline_s):
                raise ObserverError(f"the first mark was not seen within {plan.deadline_s:g} s: see `bionicpro status`")
            committed = _commit_marks(connection, prosthesis, prefix, plan, ids)
            seen = watcher.wait(set(committed), plan.deadline_s)
            reached = beside.wait(set(seen), plan.deadline_s) if beside is not None else {}
        finally:
            if not keep:
                subject.delete(connection, ids)
    seconds = tuple(max(0.0, seen[code] - at) for code, at in committed.items() if code in seen)
    pushed = _pushed(seen, beside, reached)
    return Outcome(prefix, seconds, len(committed) - len(seconds), tuple(ids), pushed)


def _pushed(seen: Mapping[str, float], mart: Watcher | None, reached: Mapping[str, float]) -> tuple[float, ...]:
    """From the last look at the mart that did not show a mark to the first look that does."""
    if mart is None:
        return ()
    return tuple(max(0.0, at - (mart.absent(code) or at)) for code, at in seen.items() if code in reached)


def _commit_marks(connection: subject.Connection, prosthesis: int, prefix: str, plan: Plan, ids: list[int]) -> dict[str, float]:
    """When each mark was committed, by its code."""
    committed: dict[str, float] = {}
    began = time.perf_counter()
    for number in range(plan.count):
        time.sleep(max(0.0, began + number / plan.rate - time.perf_counter()))
        code = f"{prefix}{number}"
        ids.append(subject.insert(connection, prosthesis, code))
        committed[code] = time.perf_counter()
    return committed
