"""A table of Faust's that tells when Kafka has what was written to it. Faust itself sends changes "soon" and tells nobody when they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import faust
from faust.types import FutureMessage


class AcknowledgedTable(faust.Table[str, Any]):
    """A write goes to the changelog by way of the producer's buffer; a worker that dies before that leaves a table without it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unacknowledged: list[FutureMessage] = []

    def send_changelog(self, *args: Any, **kwargs: Any) -> FutureMessage:
        sent = super().send_changelog(*args, **kwargs)
        self._unacknowledged.append(sent)
        return sent

    def written(self) -> Awaitable[object]:
        """Done when Kafka has acknowledged what was written since the last call; raises what the producer raised."""
        sent, self._unacknowledged = self._unacknowledged, []
        return asyncio.gather(*sent)
