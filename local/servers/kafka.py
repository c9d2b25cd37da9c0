"""Kafka: one KRaft node, broker and controller in one process."""

from __future__ import annotations

import os
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors import accounts
from local import commands, fetch, paths
from local.instance import Instance, write_private
from local.servers.program import Program, java, launched
from service_kit import environment_files

OLDER = "kafka-4.2"
"""Is there where the log directory was formatted by 4.2."""
# C1 alone starts fast but peaks low; Serial GC has no threads that idle on two cores.
JVM = ("-XX:+UseSerialGC", "-Xshare:auto", "-Djava.awt.headless=true")


def class_path() -> str:
    return f"{fetch.located()['kafka']}/*"


def logging_option(instance: Instance, level: str) -> str:
    file = instance.config(f"log4j2-{level}.properties")
    write_private(file, instance.render("log4j2.properties", level=level))
    return f"-Dlog4j2.configurationFile={file}"


def prepare(instance: Instance) -> None:
    """Write the configuration; format the log directory on first use. Idempotent.

    Raises RuntimeError where the data are those of Kafka 4.3, which instances had before: an older Kafka cannot read its metadata.
    """
    data = instance.data("kafka")
    config = instance.config("kafka.properties")
    text = instance.render("kafka.properties", port=instance.ports["kafka"], controller_port=instance.ports["kafka_controller"], data=data)
    write_private(config, text)
    older = instance.config(OLDER)
    if not (data / "meta.properties").exists():
        _format(instance, config)
        older.touch(mode=0o600)
    elif not older.exists():
        raise RuntimeError(
            f"the data of Kafka in {data} were written by 4.3, and the Kafka of now is 4.2 (docs/adr/0047): it cannot read them."
            " `make reset` forgets this instance; the sources' data are demo data, and come again"
        )


def program(instance: Instance) -> Program:
    command = (*java(instance), "-Xms256m", "-Xmx640m", *JVM, logging_option(instance, "warn"), "-cp", class_path(), "kafka.Kafka")
    return Program(
        name="kafka",
        command=launched((*command, str(instance.config("kafka.properties"))), env_file=instance.env_file("kafka")),
        directory=instance.folder,
        stop_wait_s=40,
        priority=20,
    )


def ready(instance: Instance) -> bool:
    try:
        return bool(_administrator(instance).list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def settle(instance: Instance) -> None:
    """Make the services' accounts and rights what they should be; also of a log that was made before there were any. Idempotent."""
    accounts.ensure(_administrator(instance), {user: instance.secrets[f"kafka_{user}"] for user in accounts.SERVICES})


def _administrator(instance: Instance) -> AdminClient:
    return AdminClient(
        {
            "bootstrap.servers": f"127.0.0.1:{instance.ports['kafka']}",
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanisms": "PLAIN",
            "sasl.username": accounts.BROKER,
            "sasl.password": instance.secrets["kafka_broker"],
            "log_level": 0,
            "socket.timeout.ms": 10_000,
        }
    )


def _format(instance: Instance, config: Path) -> None:
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    if cluster.startswith("-"):
        cluster = "A" + cluster[1:]  # the tool would read it as an option
    command = [*java(instance), "-Xmx256m", "-XX:TieredStopAtLevel=1", *JVM, logging_option(instance, "warn"), "-cp", class_path()]
    command += ["kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", str(config)]
    environment = os.environ | paths.LOCALE | environment_files.read(instance.env_file("kafka"))
    finished = commands.run(command, environment=environment, umask=0o077)
    if finished.returncode != 0:
        raise RuntimeError(f"Kafka's storage could not be formatted: {(finished.stdout + finished.stderr).strip()[-600:]}")
