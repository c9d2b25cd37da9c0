"""What somebody without a secret tries at each listening socket of the system: ``python -m tests.support.strangers UID < {name: [host, port]}``.

Run as a process of its own, as the account *UID* where it is not 0. Prints, for each listener, what it was granted that it should not be: an empty list.
A request of HTTP is made as a web page of another origin would make it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Callable

import httpx
import psycopg
from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

TRANSACTIONS = "keycloak_transactions"
ORIGIN = "https://elsewhere.example"
PAGE = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
STEAL = {"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": "${env:BIONICPRO_CRM_DB__PASSWORD}"}
CLASS = "io.debezium.connector.postgresql.PostgresConnector"
# What must be refused: method, path, body.
Address = tuple[str, int]
CLOSED: dict[str, tuple[tuple[str, str, object], ...]] = {
    "connect": (
        ("GET", "/", None),
        ("GET", "/connectors", None),
        ("GET", "/connectors/crm/config", None),
        ("GET", "/admin/loggers", None),
        ("PUT", f"/connector-plugins/{CLASS}/config/validate", STEAL),
        ("POST", "/connectors", {"name": "x", "config": STEAL}),
        ("POST", "/connectors/crm/restart", None),
        ("POST", "/connectors/crm/tasks", []),
        ("PUT", "/connectors/crm/fence", None),
        ("DELETE", "/connectors/crm", None),
    ),
    "keycloak": (
        ("GET", "/admin/realms", None),
        ("GET", "/admin/realms/bionicpro/users", None),
        ("GET", "/metrics", None),
        ("POST", "/realms/master/protocol/openid-connect/token", None),
        ("POST", "/realms/bionicpro/clients-registrations/default", {"clientId": "x"}),
    ),
    "keycloak_management": (("POST", "/metrics", None), ("GET", "/admin/realms", None)),
    "processor": (("GET", "/table/", None), ("GET", "/table/bionicpro-processor-directory", None)),
    "reports_api": (
        ("GET", "/users/11111111-1111-4111-8111-111111111111/reports/today", None),
        ("GET", "/docs", None),
        ("POST", "/health/ready", None),
    ),
    "bff": (
        ("GET", "/auth/session", None),
        ("GET", "/api/reports/today", None),
        ("POST", "/auth/logout", None),
        ("POST", "/auth/session", None),
    ),
    "airflow": (
        ("GET", "/api/v2/dags", None),
        ("GET", "/api/v2/connections", None),
        ("GET", "/api/v2/variables", None),
        ("GET", "/api/v2/config", None),
        ("POST", "/api/v2/dags/bionicpro_reconciliation/dagRuns", {"logical_date": None}),
        ("POST", "/auth/token", {"username": "auditor", "password": "auditor"}),
        ("GET", "/auth/token", None),
        ("PATCH", "/execution/task-instances/11111111-1111-4111-8111-111111111111/run", {}),
        ("GET", "/execution/connections/bionicpro_crm", None),
    ),
}


def http(name: str) -> Callable[[Address], list[str]]:
    # A connection of its own for each request: a server may close one that is kept just when the next request is sent on it.
    limits, patience = httpx.Limits(max_keepalive_connections=0), httpx.Timeout(60)

    def tried(address: Address) -> list[str]:
        granted = []
        with httpx.Client(
            base_url="http://{}:{}".format(*address), headers=PAGE, limits=limits, timeout=patience, trust_env=False
        ) as client:
            for method, path, body in CLOSED[name]:
                answer = client.request(method, path, json=body)
                if answer.is_success:
                    granted.append(f"{method} {path}: {answer.status_code}")
                if answer.is_success and answer.headers.get("access-control-allow-origin") in {"*", ORIGIN}:
                    granted.append(f"{method} {path}: readable by {ORIGIN}")
        return granted

    return tried


def postgres(address: Address) -> list[str]:
    granted, (host, port) = [], address
    for user in ("postgres", "crm_owner", "telemetry_ingest", "debezium", "auditor"):
        for password in ("", user):
            try:
                psycopg.connect(host=host, port=port, user=user, password=password, dbname="postgres", connect_timeout=10).close()
            except psycopg.OperationalError:
                continue
            granted.append(f"{user} with the password {password!r}")
    return granted


def kafka(address: Address) -> list[str]:
    base: dict[str, str | int] = {"bootstrap.servers": "{}:{}".format(*address), "log_level": 0, "socket.timeout.ms": 3000}
    sasl = {"security.protocol": "SASL_PLAINTEXT"}
    attempts: dict[str, dict[str, str | int]] = {
        "without an account": {},
        "kafka by PLAIN": {**sasl, "sasl.mechanisms": "PLAIN", "sasl.username": "kafka", "sasl.password": "kafka"},
        "operator by SCRAM": {**sasl, "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "operator", "sasl.password": "operator"},
    }
    granted = []
    for what, account in attempts.items():
        try:
            AdminClient({**base, **account}).list_topics(timeout=3)
        except KafkaException:
            continue
        granted.append(what)
    return granted


def clickhouse(address: Address) -> list[str]:
    granted = []
    for user in ("default", "migrator", "reader", ""):
        try:
            with Client(*address, user=user, password="", connect_timeout=10) as client:
                granted.append(f"{user!r}: {client.execute('SELECT 1')}")
        except (Error, EOFError, OSError):
            continue
    try:  # a page sends HTTP to any port
        answer = httpx.post(
            "http://{}:{}/?query=SELECT+1&add_http_cors_header=1".format(*address), headers=PAGE, timeout=20, trust_env=False
        )
        granted += [f"HTTP: {answer.status_code}"] if answer.is_success else []  # 400 is the native port's word that it does not speak HTTP
    except httpx.TransportError:
        pass
    return granted


def redis_server(address: Address) -> list[str]:
    granted = []
    for login in ("", "AUTH default \r\n", "AUTH bff bff\r\n", "AUTH probe probe\r\n"):
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(f"{login}PING\r\nQUIT\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        granted += [f"{login.strip()}: {answer!r}"] if b"+PONG" in answer else []
    return granted


def unanswered(address: Address) -> list[str]:
    """A socket that is only there to be unique (Keycloak's transaction manager makes its process id of it): nobody reads what is sent."""
    try:
        with socket.create_connection(address, timeout=3) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = connection.recv(100)
    except OSError:
        return []
    return [f"an answer: {answer!r}"] if answer else []


TRIES: dict[str, Callable[[Address], list[str]]] = {
    "postgres": postgres,
    "kafka": kafka,
    "kafka_controller": kafka,
    "clickhouse": clickhouse,
    "redis": redis_server,
    TRANSACTIONS: unanswered,
    **{name: http(name) for name in CLOSED},
}


def main() -> None:
    logging.disable()
    account = int(sys.argv[1])
    listeners: dict[str, Address] = {name: (host, port) for name, (host, port) in json.load(sys.stdin).items()}
    if account:
        for name, address in listeners.items():
            TRIES[name](address)  # so that all is imported: the account may not be allowed to read the interpreter's folder
        os.setgroups([])
        os.setgid(account)
        os.setuid(account)
    print(json.dumps({name: TRIES[name](address) for name, address in listeners.items()}))


if __name__ == "__main__":
    main()
