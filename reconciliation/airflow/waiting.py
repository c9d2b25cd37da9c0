# mypy: disable-error-code="misc,no-any-unimported,import-untyped"
# Airflow is not of the environment that checks types.
"""Waiting for the processor without holding a worker: a deferrable sensor, its trigger, and what is called when a run is late.

Imported by Airflow's triggerer, from the project's folder on its path.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink, BaseSensorOperator, Connection, conf  # type: ignore[import-not-found,unused-ignore]
from airflow.sdk.exceptions import AirflowFailException  # type: ignore[import-not-found,unused-ignore]
from airflow.triggers.base import BaseTrigger, TriggerEvent  # type: ignore[import-not-found,unused-ignore]

if TYPE_CHECKING:
    from service_kit.settings import ClickHouseSettings

CONNECTION = "bionicpro_clickhouse"
LOOK_S = 2.0
log = logging.getLogger(__name__)


class ReportLink(BaseOperatorLink):
    """From a window's waiting to the run's report: the log of the task that concludes it."""

    name = "Report of this run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  Airflow's signature
        base = conf.get("api", "base_url", fallback="/").rstrip("/")
        return f"{base}/dags/{ti_key.dag_id}/runs/{ti_key.run_id}/tasks/conclude"


class ProcessorReached(BaseSensorOperator):
    """Done once the processor has handled the log up to what a window's repair has ordered. It waits in the triggerer; nothing to wait for is done at once."""

    template_fields = ("mended",)
    operator_extra_links = (ReportLink(),)

    def __init__(self, *, mended: Any, **rest: Any) -> None:
        super().__init__(**rest)
        self.mended = mended

    def execute(self, context: Any) -> None:  # noqa: ARG002
        ordered: dict[str, int] = self.mended["ordered"]
        if ordered:
            self.defer(trigger=ProcessorTrigger(ordered), method_name="finish", timeout=timedelta(seconds=self.timeout))

    def finish(self, context: Any, event: dict[str, Any]) -> None:  # noqa: ARG002
        """Called when the trigger has fired."""
        if event["status"] != "reached":
            raise AirflowFailException(f"the processor did not reach what was ordered: {event}")


class ProcessorTrigger(BaseTrigger):
    """Fires once the processor has handled *ordered*, offsets of the log by partition. A ClickHouse that is away is asked again until the task's time is over."""

    def __init__(self, ordered: dict[str, int]) -> None:
        super().__init__()
        self.ordered = ordered

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (f"{type(self).__module__}.{type(self).__qualname__}", {"ordered": self.ordered})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        settings = _settings(await Connection.async_get(CONNECTION))
        while not await asyncio.to_thread(_reached, settings, self.ordered):  # noqa: ASYNC110  it happens in another server
            await asyncio.sleep(LOOK_S)
        yield TriggerEvent({"status": "reached"})


def _settings(connection: Any) -> ClickHouseSettings:
    # Imported when run: the Dag's file, which names the sensor, is parsed every half minute.
    from reconciliation.airflow.connections import clickhouse_of  # noqa: PLC0415

    return clickhouse_of(connection)


def _reached(settings: ClickHouseSettings, ordered: dict[str, int]) -> bool:
    from reconciliation.scheduled import reached  # noqa: PLC0415  as above

    return reached(settings, ordered)


async def tell_late(**kwargs: Any) -> None:
    """The run has missed its deadline; it goes on. Whoever watches Airflow's logs or its page of deadlines sees it."""
    log.error("the reconciliation is late: %s", kwargs.get("context", {}).get("dag_run", {}))
