# mypy: disable-error-code="untyped-decorator"
# Airflow is not of this environment, so its decorators have no types here.
"""The daily reconciliation: verifies yesterday and the days before it, repairs what differs, and fails where something differs still.

Runs in Airflow's environment (Airflow 3, with this project installed beside it); nothing else of the project imports it. Settings are the same
``BIONICPRO_…`` variables as the command's, of the account ``auditor``.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import dag, get_current_context, task  # type: ignore[import-not-found,unused-ignore]

DAYS_BACK = 35  # devices upload what they buffered days late; a month and some


@dag(
    dag_id="bionicpro_reconciliation",
    schedule="17 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # two repairs at once would recompute the same days twice
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "execution_timeout": timedelta(hours=2)},
    tags=["bionicpro"],
    doc_md=__doc__,
)
def bionicpro_reconciliation() -> None:
    """Verify, then repair; the second does nothing where all is equal."""

    @task(multiple_outputs=False)
    def verify_reports() -> dict[str, Any]:
        """The result of ``bionicpro verify --json`` for the days in question. Differences do not fail this task: the next one repairs them."""
        # Imported when run: Airflow parses this file every half minute.
        from reconciliation import verify as verifies  # noqa: PLC0415

        result = verifies.verify(_settings(), *_days(), print).as_json()
        print(json.dumps(result))
        return result

    @task
    def repair_reports(verified: dict[str, Any]) -> None:
        """Repairs, and fails where something differs even then. Repeating it is safe."""
        from reconciliation import repair as repairs  # noqa: PLC0415

        if verified["ok"]:
            return
        settings, days = _settings(), _days()
        plan = repairs.plan(settings, *days, print)
        left = plan if plan.is_empty else repairs.carry_out(settings, plan, print)
        print(json.dumps(left.as_json()))
        if not left.is_empty or not left.verification.ok:
            raise RuntimeError("reports still differ from PostgreSQL after the repair; see the log above and docs/operations.md")

    repair_reports(verify_reports())


def _days() -> tuple[date, date]:
    """DAYS_BACK days up to the run's own date, so that a run that is repeated looks at the same days."""
    context = get_current_context()
    today = (context.get("logical_date") or context["dag_run"].run_after).date()
    return today - timedelta(days=DAYS_BACK), today


def _settings() -> Any:
    from reconciliation.settings import ReconciliationSettings  # noqa: PLC0415
    from service_kit.settings import load  # noqa: PLC0415

    return load(ReconciliationSettings)


bionicpro_reconciliation()
