"""Support's search: whom it finds, and the record that it leaves."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from reports_api.auth import Caller
from reports_api.detail_schemas import FoundProsthesis, FoundWearer, Wearers
from reports_api.repository import WearerRepository
from schemas.reader_views import MOST_WEARERS, WearerRow

audit = structlog.get_logger("audit")


def wearers(rows: Sequence[WearerRow]) -> Wearers:
    """The answer of *rows*, of which there is one more than are shown where there are others."""
    shown = rows[:MOST_WEARERS]
    items = [
        FoundWearer(row.user_id, row.name, list(row.contract_numbers), [FoundProsthesis(*prosthesis) for prosthesis in row.prostheses])
        for row in shown
    ]
    return Wearers(items=items, more=len(rows) > len(shown))


class WearerSearch:
    """Finds wearers for support. Who looked, and who was shown, is audited before the answer goes out."""

    def __init__(self, repository: WearerRepository) -> None:
        self._repository = repository

    async def find(self, text: str, caller: Caller, request_id: str) -> Wearers:
        """The wearers with every word of *text*."""
        found = wearers(await self._repository.find(text))
        shown = [wearer.user_id for wearer in found.items]
        # Not the text, which is somebody's name: whom the search showed is what counts.
        audit.info("support search", subject=caller.subject, words=len(text.split()), shown=shown, more=found.more, request_id=request_id)
        return found
