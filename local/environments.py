"""One env file a process below ``<instance>/env/``, each with an account of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from connectors.accounts import BROKER
from local import paths
from local.instance import Instance, write_private

LOOPBACK = "127.0.0.1"


def write_all(instance: Instance) -> None:
    """Write every env file anew, mode 0600. Idempotent."""
    for process, variables in all_of(instance).items():
        text = "".join(f"{name}={value}\n" for name, value in variables.items())
        write_private(instance.env_file(process), text)


def all_of(instance: Instance) -> dict[str, dict[str, str]]:
    """The variables of each process."""
    identity = {
        "BIONICPRO_KEYCLOAK__BASE_URL": f"http://{LOOPBACK}:{instance.ports['keycloak']}",
        "BIONICPRO_KEYCLOAK__PUBLIC_URL": instance.keycloak_url,
        "BIONICPRO_KEYCLOAK__REALM": "bionicpro",
    }
    captured = postgres(instance, "crm", "debezium") | postgres(instance, "telemetry", "debezium")
    auditor = postgres(instance, "crm", "auditor") | postgres(instance, "telemetry", "auditor")
    watcher = postgres(instance, "crm", "watcher") | postgres(instance, "telemetry", "watcher")
    redis = {"BIONICPRO_REDIS__URL": f"redis://bff:{instance.secrets['redis_bff']}@{LOOPBACK}:{instance.ports['redis']}/0"}
    return {
        "connect": captured,
        "kafka": {"BIONICPRO_KAFKA_BROKER_PASSWORD": instance.secrets["kafka_broker"]},
        "keycloak": keycloak_server(instance),
        "processor": kafka(instance, "processor")
        | clickhouse(instance, "writer")
        | listener(instance, "processor", "PROCESSOR")
        | processor(instance),
        "eraser": clickhouse(instance, "eraser"),
        "watch": connect(instance) | watcher | clickhouse(instance, "watcher"),
        "reports-api": clickhouse(instance, "reader") | finder(instance) | identity | listener(instance, "reports_api", "REPORTS"),
        "bff": identity | redis | listener(instance, "bff", "BFF") | bff(instance),
        "simulator": postgres(instance, "crm", "crm_app") | postgres(instance, "telemetry", "telemetry_ingest"),
        "migrator": clickhouse(instance, "migrator"),
        "operator": kafka(instance, "operator")
        | connect(instance)
        | identity
        | auditor
        | clickhouse(instance, "auditor")
        | status(instance)
        | probe(instance)
        | rebuild(instance),
    }


MAIL = "BIONICPRO_MAIL__"


def keycloak_server(instance: Instance) -> dict[str, str]:
    """The first administrator, what the realm file's placeholders stand for (Keycloak replaces them when it imports), and the mail server that whoever starts this names."""
    return {
        "BIONICPRO_KEYCLOAK__BASE_URL": f"http://{LOOPBACK}:{instance.ports['keycloak']}",
        "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
        "KC_BOOTSTRAP_ADMIN_PASSWORD": instance.secrets["keycloak_admin"],
        "BIONICPRO_BFF_CLIENT_SECRET": instance.secrets["bff_client"],
        "BIONICPRO_PROBE_CLIENT_SECRET": instance.secrets["probe_client"],
        "BIONICPRO_BFF_PUBLIC_URL": instance.page,
        "BIONICPRO_BFF_BACKCHANNEL_URL": instance.page,
    } | {name: value for name, value in os.environ.items() if name.startswith(MAIL)}


def processor(instance: Instance) -> dict[str, str]:
    """Static membership: a restarted worker gets its partitions back at once."""
    return _prefixed("BIONICPRO_PROCESSOR__", {"DATA_DIR": str(instance.data("processor")), "INSTANCE_ID": "local-1"})


def status(instance: Instance) -> dict[str, str]:
    """Where `bionicpro status` asks the parts that the operator has no account at."""
    url = f"http://{LOOPBACK}"
    addresses = {
        "REPORTS_URL": f"{url}:{instance.ports['reports_api']}",
        "BFF_URL": f"{url}:{instance.ports['bff']}",
        "KEYCLOAK_MANAGEMENT_URL": f"{url}:{instance.ports['keycloak_management']}",
        "INSTANCE": instance.folder,
    }
    return listener(instance, "processor", "PROCESSOR") | _prefixed("BIONICPRO_STATUS__", addresses)


def probe(instance: Instance) -> dict[str, str]:
    """The probe's own login: it opens the reports of the probe's own wearer and nobody else's."""
    return _prefixed("BIONICPRO_PROBE__", {"CLIENT_SECRET": instance.secrets["probe_client"]})


def rebuild(instance: Instance) -> dict[str, str]:
    """How a rebuild starts the processor where it stays down: what it served before was not the log's any more."""
    command = [sys.executable, "-m", "local", "run", "processor", "--instance", str(instance.folder)]
    return {"BIONICPRO_REBUILD__START_WORKERS": json.dumps(command, ensure_ascii=False)}


def secret_of(login: str) -> str:
    """The name of a demo user's password among the instance's secrets."""
    return f"demo:{login}"


def bff(instance: Instance) -> dict[str, str]:
    values = {
        "PUBLIC_URL": instance.page,
        "CLIENT_SECRET": instance.secrets["bff_client"],
        "REPORTS_URL": f"http://{LOOPBACK}:{instance.ports['reports_api']}",
        "STATIC_DIR": str(paths.REPOSITORY / "frontend" / "dist"),
    }
    return _prefixed("BIONICPRO_BFF__", values)


def listener(instance: Instance, port: str, section: str) -> dict[str, str]:
    return _prefixed(f"BIONICPRO_{section}__", {"HOST": LOOPBACK, "PORT": instance.ports[port]})


def kafka(instance: Instance, user: str) -> dict[str, str]:
    """An account of Kafka; ``kafka`` is the broker's own."""
    own = user == BROKER
    return _prefixed(
        "BIONICPRO_KAFKA__",
        {
            "BOOTSTRAP_SERVERS": f"{LOOPBACK}:{instance.ports['kafka']}",
            "SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "SASL_MECHANISM": "PLAIN" if own else "SCRAM-SHA-512",
            "SASL_USERNAME": user,
            "SASL_PASSWORD": instance.secrets["kafka_broker" if own else f"kafka_{user}"],
        },
    )


def connect(instance: Instance) -> dict[str, str]:
    """The operator's login at Connect's REST interface."""
    values = {
        "URL": f"http://{LOOPBACK}:{instance.ports['connect']}",
        "USERNAME": "operator",
        "PASSWORD": instance.secrets["connect_operator"],
    }
    return _prefixed("BIONICPRO_CONNECT__", values)


def postgres(instance: Instance, database: str, user: str) -> dict[str, str]:
    prefix = f"BIONICPRO_{database.upper()}_DB__"
    return _prefixed(
        prefix,
        {
            "HOST": LOOPBACK,
            "PORT": instance.ports["postgres"],
            "DATABASE": database,
            "USER": user,
            "PASSWORD": instance.secrets[user],
            "SSLMODE": "disable",
        },
    )


def clickhouse(instance: Instance, user: str) -> dict[str, str]:
    return _prefixed(
        "BIONICPRO_CLICKHOUSE__",
        {
            "HOST": LOOPBACK,
            "PORT": instance.ports["clickhouse"],
            "USER": user,
            "PASSWORD": instance.secrets[f"clickhouse_{user}"],
        },
    )


def finder(instance: Instance) -> dict[str, str]:
    """The account of support's search, at the server that the service reads."""
    return _prefixed("BIONICPRO_FINDER__", {"USER": "finder", "PASSWORD": instance.secrets["clickhouse_finder"]})


def _prefixed(prefix: str, values: Mapping[str, object]) -> dict[str, str]:
    return {prefix + name: str(value) for name, value in values.items()}
