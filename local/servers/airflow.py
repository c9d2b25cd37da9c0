"""Airflow from an environment of its own (``.venv-airflow``): four programs, their records in a database of their own in the demo's PostgreSQL.

It is the auditor, no part of the way from a row to a report: nothing else waits for it, and only ``--airflow`` starts it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from local import environments, paths
from local.instance import Instance, write_private
from local.launch import DIRECT
from local.servers.postgres import SUPERUSER
from local.servers.program import Program, launched
from simulator.sources.airflow_records import DATABASE, make_airflow_records

LOGIN = "auditor"
COMMAND = paths.AIRFLOW_VENV / "bin" / "airflow"
DAGS = paths.REPOSITORY / "reconciliation" / "airflow"
# name, arguments, whether it is given the connections of the sources and of the mart. Logs are read as files: nobody need serve them.
PARTS: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("airflow", ("api-server",), False),
    ("airflow-dag-processor", ("dag-processor",), False),
    ("airflow-scheduler", ("scheduler", "--skip-serve-logs"), True),
    ("airflow-triggerer", ("triggerer", "--skip-serve-logs"), True),
)
NAMES = tuple(name for name, _, _ in PARTS)
# Of those whose tasks run inside the scheduler's worker processes.
PARALLEL_TASKS = 2
WAIT_S = 600


def programs(instance: Instance) -> list[Program]:
    return [
        Program(
            name=name,
            command=launched(
                (str(COMMAND), *arguments),
                # All but the api-server talk to it: a task that cannot reach it has failed.
                wait=tuple(f"127.0.0.1:{instance.ports[port]}" for port in ("postgres", *(("airflow",) if name != "airflow" else ()))),
                env_file=instance.env_file(name),
                deadline_s=WAIT_S,
            ),
            directory=instance.data("airflow"),
            stop_wait_s=30,
            priority=60,
        )
        for name, arguments, _ in PARTS
    ]


def write_environments(instance: Instance) -> None:
    """An env file for each of Airflow's programs, and the one login's password, mode 0600. Idempotent."""
    for name, _, connected in PARTS:
        variables = settings(instance) | (connections(instance) if connected else {})
        write_private(instance.env_file(name), "".join(f"{key}={value}\n" for key, value in variables.items()))
    write_private(_passwords(instance), json.dumps({LOGIN: instance.secrets["airflow_login"]}))


def settings(instance: Instance) -> dict[str, str]:
    """What all of Airflow's programs are told."""
    port, home = instance.ports["airflow"], instance.data("airflow")
    records = f"airflow:{instance.secrets['airflow']}@127.0.0.1:{instance.ports['postgres']}/{DATABASE}"
    cipher = base64.urlsafe_b64encode(hashlib.sha256(instance.secrets["airflow_cipher"].encode()).digest()).decode()
    return {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(paths.REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SPT_NOENV": "1",  # its processes write titles, but not over the variables that orphans are known by
        "SCARF_ANALYTICS": "false",  # the usage data of packages
        **_options("CORE", DAGS_FOLDER=DAGS, EXECUTOR="LocalExecutor", PARALLELISM=PARALLEL_TASKS, LOAD_EXAMPLES="False",
                   FERNET_KEY=cipher, EXECUTION_API_SERVER_URL=f"http://127.0.0.1:{port}/execution/",
                   DAGS_ARE_PAUSED_AT_CREATION="False", DAGBAG_IMPORT_TIMEOUT=240, HOSTNAME_CALLABLE="airflow.utils.net.get_host_ip_address",
                   SIMPLE_AUTH_MANAGER_USERS=f"{LOGIN}:admin", SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=_passwords(instance)),
        **_options("DATABASE", SQL_ALCHEMY_CONN=f"postgresql+psycopg2://{records}",
                   SQL_ALCHEMY_CONN_ASYNC=f"postgresql+asyncpg://{records}", SQL_ALCHEMY_POOL_SIZE=3),
        **_options("API", HOST="127.0.0.1", PORT=port, BASE_URL=f"http://localhost:{port}", WORKERS=1, SECRET_KEY=instance.secrets["airflow_sessions"]),
        **_options("API_AUTH", JWT_SECRET=hashlib.sha512(instance.secrets["airflow_tokens"].encode()).hexdigest(), JWT_ISSUER="bionicpro"),
        **_options("LOGGING", BASE_LOG_FOLDER=home / "logs", DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY=home / "logs" / "dag_processor",
                   COLORED_CONSOLE_LOG="False", FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS="0o700", FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS="0o600"),
        # A busy machine makes everything slow, and slow is not broken.
        **_options("DAG_PROCESSOR", PARSING_PROCESSES=1, REFRESH_INTERVAL=60, DAG_FILE_PROCESSOR_TIMEOUT=300, HEALTH_CHECK_THRESHOLD=120),
        **_options("SCHEDULER", SCHEDULER_HEALTH_CHECK_THRESHOLD=120, TASK_INSTANCE_HEARTBEAT_TIMEOUT=600),
        **_options("TRIGGERER", TRIGGERER_HEALTH_CHECK_THRESHOLD=120),
        **_options("WORKERS", EXECUTION_API_TIMEOUT=60),
    }  # fmt: skip


def connections(instance: Instance) -> dict[str, str]:
    """Airflow's connections, from its environment variables: the account `auditor` of both sources, of ClickHouse and the operator's of Kafka, and the one that writes outcomes."""
    postgres = {"conn_type": "postgres", "host": "127.0.0.1", "port": instance.ports["postgres"], "login": "auditor",
                "password": instance.secrets["auditor"], "extra": {"sslmode": "disable"}}  # fmt: skip
    clickhouse = {"conn_type": "clickhouse", "host": "127.0.0.1", "port": instance.ports["clickhouse"], "schema": "bionicpro"}
    kafka = {name.removeprefix("BIONICPRO_KAFKA__").lower(): value for name, value in environments.kafka(instance, "operator").items()}
    found: Mapping[str, Mapping[str, Any]] = {
        "bionicpro_crm": postgres | {"schema": "crm"},
        "bionicpro_telemetry": postgres | {"schema": "telemetry"},
        "bionicpro_clickhouse": clickhouse | {"login": "auditor", "password": instance.secrets["clickhouse_auditor"]},
        "bionicpro_outcomes": clickhouse | {"login": "recorder", "password": instance.secrets["clickhouse_recorder"]},
        "bionicpro_kafka": {
            "conn_type": "kafka",
            "host": kafka.pop("bootstrap_servers"),
            "login": kafka.pop("sasl_username"),
            "password": kafka.pop("sasl_password"),
            "extra": kafka,
        },
    }
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in found.items()}


def make_database(instance: Instance) -> None:
    """Airflow's account and its database, in which it may do everything, and it alone. Idempotent. Raises psycopg.Error."""
    superuser = {"host": "127.0.0.1", "port": instance.ports["postgres"], "user": SUPERUSER, "password": instance.secrets[SUPERUSER]}
    make_airflow_records(superuser, SecretStr(instance.secrets["airflow"]))


def ready(instance: Instance) -> bool:
    """Whether all four programs say that they are well."""
    try:
        with DIRECT.open(f"http://127.0.0.1:{instance.ports['airflow']}/api/v2/monitor/health", timeout=5) as answer:
            found = json.loads(answer.read())
    except (OSError, ValueError):
        return False
    return all(found.get(part, {}).get("status") == "healthy" for part in ("metadatabase", "scheduler", "triggerer", "dag_processor"))


def _passwords(instance: Instance) -> Any:
    return instance.config("airflow-logins.json")


def _options(section: str, **values: object) -> dict[str, str]:
    return {f"AIRFLOW__{section}__{name}": str(value) for name, value in values.items()}
