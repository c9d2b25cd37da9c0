"""What can be repeated is repeated: a server that is too busy to answer is no reason to give up a whole start, one that refuses soon is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from local import commands
from service_kit.outages import is_outage

ATTEMPTS = 3
ATTEMPTS_WHILE_AWAY = 12
LONGEST_PAUSE_S = 60.0
PAUSE_S = 2.0
LAST_WORDS = 800


@dataclass(frozen=True)
class Failure:
    """*words*: how it ended, to stand behind its name; *away*: a server did not answer; *final*: asking again cannot help."""

    words: str
    away: bool = False
    final: bool = False


def until_done(attempt: Callable[[], Failure | None]) -> Failure | None:
    """Make *attempt* until nothing fails, after growing pauses; the last failure where it does not help. Raises commands.StoppedError."""
    for number in itertools.count(1):
        failure = attempt()
        if failure is None or failure.final or number >= (ATTEMPTS_WHILE_AWAY if failure.away else ATTEMPTS):
            return failure
        commands.pause(min(PAUSE_S * number**2, LONGEST_PAUSE_S))
    return None


def failing(work: Callable[[], object], *kinds: type[Exception]) -> Failure | None:
    """Do *work*; an exception of *kinds* is a failure."""
    try:
        work()
    except kinds as error:
        return Failure(f"failed: {type(error).__name__}: {str(error).strip()[-LAST_WORDS:]}", away=is_outage(error))
    return None
