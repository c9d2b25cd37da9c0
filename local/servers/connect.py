"""Kafka Connect, distributed with one worker, with Debezium's PostgreSQL connector."""

from __future__ import annotations

from pathlib import Path

import httpx

from local import fetch
from local.instance import Instance, write_private
from local.servers.kafka import JVM, class_path, logging_option
from local.servers.program import Program, java, launched


def prepare(instance: Instance) -> None:
    text = instance.render(
        "connect.properties",
        port=instance.ports["connect"],
        kafka_port=instance.ports["kafka"],
        plugins=fetch.located()["debezium"],
    )
    write_private(instance.config("connect.properties"), text)
    write_private(_logins(instance), f"operator={instance.secrets['connect_operator']}\n")
    jaas = instance.render("connect-jaas.conf", kafka_connect=instance.secrets["kafka_connect"], logins=_logins(instance))
    write_private(_jaas(instance), jaas)


def program(instance: Instance) -> Program:
    jaas = f"-Djava.security.auth.login.config={_jaas(instance)}"
    command = (*java(instance), "-Xms1g", "-Xmx1g", "-Xmn640m", *JVM, jaas, logging_option(instance, "warn"), "-cp", class_path())
    main = ("org.apache.kafka.connect.cli.ConnectDistributed", str(instance.config("connect.properties")))
    return Program(
        name="connect",
        command=launched((*command, *main), wait=(f"127.0.0.1:{instance.ports['kafka']}",), env_file=instance.env_file("connect")),
        directory=instance.folder,
        stop_wait_s=30,
        priority=30,
    )


def ready(instance: Instance) -> bool:
    login = httpx.BasicAuth("operator", instance.secrets["connect_operator"])
    try:
        url = f"http://127.0.0.1:{instance.ports['connect']}/connectors"
        return httpx.get(url, auth=login, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _jaas(instance: Instance) -> Path:
    return instance.config("connect-jaas.conf")


def _logins(instance: Instance) -> Path:
    return instance.config("connect-logins.properties")
