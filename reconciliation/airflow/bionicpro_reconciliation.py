# mypy: disable-error-code="untyped-decorator"
# Airflow is not of the environment that checks types.
"""### The daily reconciliation: the auditor of the reports

Recomputes the reports of the run's days from the two source databases, in SQL, compares them with the mart field by field, and raw telemetry by event; what differs is mended
through the log, waited for, and compared again. The run fails, with a summary, where anything differs then, or nothing was compared.

* **Days**: of its data interval, and `days_back` days before it, since devices upload late. `from` and `to` (ISO dates) name any other range: a backfill.
* **Outcome**: `bionicpro.reconciliation_runs` and `reconciliation_differences` in ClickHouse, by `run_id`; the log of the task `conclude` is the report.
* **By hand**: `bionicpro verify` and `bionicpro repair` are the same code. See `docs/reconciliation.md`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import (  # type: ignore[import-not-found,unused-ignore]
    Asset,
    AsyncCallback,
    Connection,
    CronDataIntervalTimetable,
    DeadlineAlert,
    DeadlineReference,
    Metadata,
    Param,
    TriggerRule,
    dag,
    get_current_context,
    task,
    task_group,
)

from reconciliation.airflow.waiting import ProcessorReached, tell_late

MART = Asset(name="user_daily_reports", uri="clickhouse://bionicpro/user_daily_reports")
CONNECTIONS = ("bionicpro_crm", "bionicpro_telemetry", "bionicpro_clickhouse", "bionicpro_kafka")
DAY = {"type": ["null", "string"], "format": "date"}


@dag(
    dag_id="bionicpro_reconciliation",
    schedule=CronDataIntervalTimetable("17 3 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # two repairs at once would recompute the same days twice
    params={
        "from": Param(None, **DAY, description="First day of reports; without it: the first of the data interval, less days_back."),
        "to": Param(None, **DAY, description="Last day of reports, included; without it: the last of the data interval."),
        "days_back": Param(35, type="integer", minimum=0, description="Days before the data interval: devices upload late."),
        "repair": Param(True, type="boolean", description="Mend what differs; else only tell."),
    },
    default_args={
        "owner": "bionicpro",
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
        "execution_timeout": timedelta(hours=2),
    },
    dagrun_timeout=timedelta(hours=12),
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(hours=4), callback=AsyncCallback(tell_late), name="four hours"
    ),
    tags=["bionicpro"],
    doc_md=__doc__,
)
def bionicpro_reconciliation() -> None:
    """Windows of days side by side, each compared, mended, waited for and compared again; then the verdict."""

    @task
    def windows() -> list[dict[str, Any]]:
        """The windows to look at: as many days as fit into one task's memory."""
        first, last = _asked()
        print(f"reports of {first} … {last}")
        found: list[dict[str, Any]] = _reconciliation().windows(first, last)
        return found

    @task(max_active_tis_per_dagrun=2)  # the sources have other work
    def compare_and_mend(window: dict[str, Any]) -> dict[str, Any]:
        """Keeps what differs in reconciliation_differences and asks for its repair."""
        mended: dict[str, Any] = _reconciliation().compare_and_mend(window, mend=get_current_context()["params"]["repair"])
        return mended

    @task(max_active_tis_per_dagrun=2)
    def compare_again(mended: dict[str, Any]) -> None:
        """Does nothing where nothing was mended."""
        _reconciliation().compare_again(mended)

    @task_group
    def window(window: dict[str, Any]) -> None:
        """One window's way."""
        mended = compare_and_mend(window)
        waited = ProcessorReached(task_id="await_processor", mended=mended, timeout=3600)
        waited >> compare_again(mended)

    @task(trigger_rule=TriggerRule.ALL_DONE, retries=0, outlets=[MART])
    def conclude(looked_at: list[dict[str, Any]]) -> Any:
        """The report: fails with a summary where something differs; else the mart's days are news to whoever waits for the asset."""
        whole = _reconciliation().conclude(looked_at or [])
        first, last = (str(day) for day in _asked())
        yield Metadata(MART, {"from": first, "to": last, **whole})

    days = windows()
    window.expand(window=days) >> conclude(days)


def _asked() -> tuple[date, date]:
    """The first and last day of reports: of the parameters, else of the run's data interval; a run that is repeated looks at the same days."""
    context = get_current_context()
    params, now = context["params"], context["dag_run"].run_after
    starts, ends = context.get("data_interval_start") or now, context.get("data_interval_end") or now
    first = date.fromisoformat(params["from"]) if params["from"] else starts.date() - timedelta(days=params["days_back"])
    return first, date.fromisoformat(params["to"]) if params["to"] else ends.date()


def _reconciliation() -> Any:
    # Imported when run: Airflow parses this file every half minute.
    from cli.states import unlike  # noqa: PLC0415
    from reconciliation.airflow.connections import clickhouse_of, settings_of  # noqa: PLC0415
    from reconciliation.outcomes import Outcomes  # noqa: PLC0415
    from reconciliation.scheduled import Reconciliation  # noqa: PLC0415

    settings = settings_of({name: Connection.get(name) for name in CONNECTIONS})
    outcomes = Outcomes(clickhouse_of(Connection.get("bionicpro_outcomes")))
    return Reconciliation(settings, outcomes, get_current_context()["run_id"], states=unlike)


bionicpro_reconciliation()
