"""What is left of people who were erased during a schedule."""

from __future__ import annotations

from collections.abc import Iterable

from cli.erase.records import records
from reconciliation.mart import Mart, serving_mart
from reconciliation.settings import ReconciliationSettings
from tests.chaos.workload import user_id

NAMED = {
    "user_daily_reports": "user_id = %(user)s",
    "report_state": "user_id = %(user)s",
    "ownership": "position(document, %(user)s) > 0",
}
INSIDE = """
    SELECT count() FROM telemetry_events AS e
    INNER JOIN (SELECT prosthesis_id, from_us AS begins, to_us AS ends FROM {shared}.erasure_rules FINAL) AS r USING (prosthesis_id)
    WHERE arrayExists((b, e) -> toUnixTimestamp64Micro(recorded_at) >= b AND toUnixTimestamp64Micro(recorded_at) < e, begins, ends)
"""


def remains_of_erased(settings: ReconciliationSettings, gone: Iterable[int]) -> list[str]:
    """In words: erasures without a receipt, raw of erased times, and rows of any version that name a customer of *gone*. Empty where all is erased."""
    with records(settings.clickhouse) as found:
        waiting = [f"no receipt: {erasure_id}" for erasure_id in found.unfinished()]
    with serving_mart(settings.clickhouse) as mart:
        rows = {"telemetry_events of erased times": _count(mart, INSIDE.format(shared=settings.clickhouse.database), {})}
        for customer in gone:
            for table, condition in NAMED.items():
                rows[f"{table} of customer {customer}"] = _count(
                    mart, f"SELECT count() FROM {table} WHERE {condition}", {"user": user_id(customer)}
                )
    return waiting + [f"{count} rows in {name}" for name, count in rows.items() if count]


def _count(mart: Mart, query: str, parameters: dict[str, str]) -> int:
    ((count,),) = mart.client.execute(query, parameters)
    return int(count)
