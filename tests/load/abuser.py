"""One person who wants a hundred exports at once, again and again, as a process of its own: what it costs to ask must not delay those who are measured.

``python -m tests.load.abuser`` reads an `Order` as one JSON line and writes the statuses it got as another. It has the priority of everything else.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

import httpx

from tests.support.bff_browser import Browser

EXPORT = "/reports/export.pdf"
WAVE = 100
REQUESTS_PER_SECOND = 18
"""Below the 1,200 a minute of a person: no rate limit stops the abuser."""
NO_ANSWER = 0


@dataclass(frozen=True)
class Order:
    """Abuse for *seconds*, by the BFF at *base*, which browsers know as *origin*, with the *cookies* of somebody who is logged in."""

    base: str
    origin: str
    seconds: float
    cookies: dict[str, str] = field(repr=False)


async def hired(order: Order) -> Counter[int]:
    """Have a process carry out *order*; the statuses that it got, 0 where there was no answer."""
    module = f"{__package__}.abuser"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        # By its input, not its arguments, which other accounts can read.
        told, _ = await process.communicate(json.dumps(asdict(order)).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    return Counter({int(status): count for status, count in json.loads(told).items()})


async def abuse(order: Order) -> Counter[int]:
    """Waves of exports at once, as many as the rate limit lets through; one at least, and each to its end."""
    statuses: Counter[int] = Counter()
    until, began = time.monotonic() + order.seconds, 0.0
    async with Browser(order.base, order.origin) as browser:
        browser.cookies = dict(order.cookies)
        while began < until:
            began = time.monotonic()
            answers = await asyncio.gather(*(browser.api(EXPORT) for _ in range(WAVE)), return_exceptions=True)
            statuses.update(answer.status_code if isinstance(answer, httpx.Response) else NO_ANSWER for answer in answers)
            await asyncio.sleep(max(0.0, WAVE / REQUESTS_PER_SECOND - (time.monotonic() - began)))
    return statuses


if __name__ == "__main__":
    print(json.dumps(asyncio.run(abuse(Order(**json.load(sys.stdin))))))
