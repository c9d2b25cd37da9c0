"""Whether requests can be answered."""

from __future__ import annotations

import asyncio

from reports_api.pool import StoreFailedError, StoreUnavailableError
from reports_api.repository import ReportRepository
from reports_api.schemas import Health
from service_kit.key_cache import KeyCache

CHECK_S = 2.0


class Readiness:
    """Whether requests can be answered: the mart can be read and the issuer's keys are known."""

    def __init__(self, repository: ReportRepository, keys: KeyCache) -> None:
        self._repository = repository
        self._keys = keys

    async def check(self) -> Health:
        checks = {
            "clickhouse": await self._clickhouse(),
            "keys": "ok" if self._keys.ready else "the identity provider's keys are not known yet",
        }
        return Health("ok" if set(checks.values()) == {"ok"} else "unavailable", checks)

    async def _clickhouse(self) -> str:
        try:
            async with asyncio.timeout(CHECK_S):
                await self._repository.ping()
        except TimeoutError:
            return f"no answer within {CHECK_S} s"
        except (StoreUnavailableError, StoreFailedError) as error:
            return str(error)
        return "ok"
