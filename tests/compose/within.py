"""What the trial does in ClickHouse as an account of a service, run in that service's container: ``python within.py lose | counted RUN_ID``. One line of JSON.

It stands alone in the container, and uses what the operator's image holds.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

NEWEST = """
SELECT prosthesis_id, report_date FROM user_daily_reports FINAL WHERE is_deleted = 0 AND report_date < today() ORDER BY report_date DESC, prosthesis_id LIMIT 1
"""
DELETE = "ALTER TABLE user_daily_reports DELETE WHERE prosthesis_id = %(prosthesis)s AND report_date = %(day)s SETTINGS mutations_sync = 1"
OUTCOMES = """
SELECT phase, toInt64(sum(rows_compared)), toInt64(sum(missing)), min(equal) FROM reconciliation_runs FINAL WHERE run_id = %(run)s GROUP BY phase
"""


def connected(database: str) -> Client:
    """A client with the account that this container was given."""
    password = Path("/run/secrets/BIONICPRO_CLICKHOUSE__PASSWORD").read_text(encoding="utf-8")
    return Client("clickhouse", 9000, user=os.environ["BIONICPRO_CLICKHOUSE__USER"], password=password, database=database)


def lose() -> dict[str, Any]:
    """Delete the newest report of a day that is over, as only the migrator may; of which day it was."""
    ((serving,),) = connected("bionicpro").execute("SELECT generation FROM generations FINAL WHERE state = 'serving'")
    mart = connected(f"bionicpro_g{serving}")
    ((prosthesis, day),) = mart.execute(NEWEST)
    mart.execute(DELETE, {"prosthesis": prosthesis, "day": day})
    return {"day": str(day)}


def counted(run_id: str) -> dict[str, Any]:
    """By phase: what a run of the audit compared, found missing, and whether all was equal."""
    rows = connected("bionicpro").execute(OUTCOMES, {"run": run_id})
    return {phase: {"compared": compared, "missing": missing, "equal": bool(equal)} for phase, compared, missing, equal in rows}


if __name__ == "__main__":
    print(json.dumps(lose() if sys.argv[1] == "lose" else counted(sys.argv[2])))
