"""How the process ends where going on would be wrong: at once, with an exit code of ``sysexits.h`` that the supervisor understands.

Whatever is unexpected ends it: Faust would restart a crashed agent *past* the failed record.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable
from typing import NoReturn, TypeVar

import structlog

from stream_processor.adapters.topics import WrongTopic

log = structlog.get_logger()
T = TypeVar("T")

EXIT_SOFTWARE = 70
EXIT_AGAIN = 75
"""EX_TEMPFAIL: the supervisor starts it anew."""
EXIT_WRONG_TOPIC = 78
"""EX_CONFIG: somebody has to decide."""


def end(code: int) -> NoReturn:
    """At once, without Faust's orderly stop, which may commit or hang."""
    sys.stderr.flush()
    os._exit(code)


def records_are_lost(topic: str, partition: int) -> NoReturn:
    """The broker has not any more what is to be read next: whoever starts it finds in its log what was committed and where the log begins."""
    log.critical(
        "what is to be read next is not in the topic any more: records are lost, or it is another broker's",
        topic=topic,
        partition=partition,
    )
    end(EXIT_WRONG_TOPIC)


async def fatal(work: Awaitable[T]) -> T:
    """Await *work* for what it gives; whatever it raises ends the process, for the supervisor to start it again from the last commit."""
    try:
        return await work
    except asyncio.CancelledError:
        raise
    except WrongTopic as error:
        log.critical("stored positions are not of this topic", error=str(error))
        end(EXIT_WRONG_TOPIC)
    except Exception:
        log.critical("the processor stops", exc_info=True)
        end(EXIT_SOFTWARE)
