"""Kafka Connect, distributed with one worker, with Debezium's PostgreSQL connector."""

from __future__ import annotations

from local import fetch
from local.instance import Instance
from local.launch import answers
from local.servers.kafka import JVM, class_path, logging_option
from local.servers.program import Program, java, launched


def prepare(instance: Instance) -> None:
    text = instance.render(
        "connect.properties",
        port=instance.ports["connect"],
        kafka_port=instance.ports["kafka"],
        plugins=fetch.located()["debezium"],
    )
    instance.config("connect.properties").write_text(text, encoding="utf-8")


def program(instance: Instance) -> Program:
    command = (java(), "-Xms1g", "-Xmx1g", "-Xmn640m", *JVM, logging_option(instance, "warn"), "-cp", class_path())
    main = ("org.apache.kafka.connect.cli.ConnectDistributed", str(instance.config("connect.properties")))
    return Program(
        name="connect",
        command=launched((*command, *main), wait=(f"127.0.0.1:{instance.ports['kafka']}",), env_file=instance.env_file("connect")),
        directory=instance.folder,
        stop_wait_s=30,
        priority=30,
    )


def ready(instance: Instance) -> bool:
    return answers(f"http://127.0.0.1:{instance.ports['connect']}/connectors")
