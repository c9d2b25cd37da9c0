"""Kafka's accounts and what each may do. The broker refuses everything that is not listed here (``StandardAuthorizer``).

Who writes a topic decides what becomes a report, so that only Connect, the processor and the operator do. The broker's own account, ``kafka``, may do
everything; it makes the others, and nothing else uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its type hints do not mark re-exports
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from schemas.keys import CRM_TOPIC, DEAD_LETTER_TOPIC, LOG_TOPIC

BROKER, CONNECT, PROCESSOR, OPERATOR = "kafka", "connect", "processor", "operator"
SERVICES = (CONNECT, PROCESSOR, OPERATOR)
ITERATIONS = 4096  # Kafka's least; the passwords are random, so more would buy nothing
REQUEST_TIMEOUT_S = 15.0
# Of the groups and changelogs of every generation's processor; of what Connect keeps for itself, its transactions among it.
PROCESSORS = "bionicpro-processor"
CONNECTS = "connect"

READS = ("READ", "DESCRIBE")
WRITES = ("WRITE", "DESCRIBE")
MANAGES = ("READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS", "CREATE", "ALTER", "ALTER_CONFIGS", "DELETE")

# account, kind of resource, its name (with * at the end: every name that begins so), operations
RIGHTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (CONNECT, "TOPIC", LOG_TOPIC, WRITES),
    (CONNECT, "TOPIC", CRM_TOPIC, WRITES),
    (CONNECT, "TOPIC", f"{CONNECTS}-*", ("READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS", "CREATE")),
    (CONNECT, "GROUP", CONNECTS, READS),
    (CONNECT, "TRANSACTIONAL_ID", f"{CONNECTS}-*", WRITES),
    (PROCESSOR, "TOPIC", LOG_TOPIC, (*READS, "WRITE")),
    (PROCESSOR, "TOPIC", CRM_TOPIC, READS),
    (PROCESSOR, "TOPIC", DEAD_LETTER_TOPIC, WRITES),
    (PROCESSOR, "TOPIC", f"{PROCESSORS}-*", (*READS, "WRITE")),
    (PROCESSOR, "GROUP", f"{PROCESSORS}*", READS),
    (PROCESSOR, "GROUP", "bionicpro-directory", READS),
    (OPERATOR, "TOPIC", LOG_TOPIC, MANAGES),
    (OPERATOR, "TOPIC", CRM_TOPIC, MANAGES),
    (OPERATOR, "TOPIC", DEAD_LETTER_TOPIC, MANAGES),
    (OPERATOR, "TOPIC", f"{PROCESSORS}-*", MANAGES),
    (OPERATOR, "GROUP", "bionicpro-*", (*READS, "DELETE")),
    (OPERATOR, "CLUSTER", "kafka-cluster", ("DESCRIBE",)),
)


def bindings(rights: Iterable[tuple[str, str, str, tuple[str, ...]]] = RIGHTS) -> list[AclBinding]:
    """*rights* one by one, as Kafka keeps them."""
    return [_binding(user, kind, name, operation) for user, kind, name, operations in rights for operation in operations]


def ensure(admin: AdminClient, passwords: Mapping[str, str]) -> tuple[int, int]:
    """Give each of *passwords*' accounts its password, and leave exactly the rights of ``RIGHTS``; how many were added and taken. Idempotent.

    *admin* is connected as the broker's own account. Raises KafkaException.
    """
    made: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS), password.encode())
        for user, password in passwords.items()
    ]
    _done(admin.alter_user_scram_credentials(made, request_timeout=REQUEST_TIMEOUT_S))
    wanted = set(bindings())
    found = set(admin.describe_acls(every_right(), request_timeout=REQUEST_TIMEOUT_S).result(2 * REQUEST_TIMEOUT_S))
    if missing := wanted - found:
        _done(admin.create_acls(list(missing), request_timeout=REQUEST_TIMEOUT_S))
    if surplus := found - wanted:
        _done(admin.delete_acls([_only(binding) for binding in surplus], request_timeout=REQUEST_TIMEOUT_S))
    return len(missing), len(surplus)


def _binding(user: str, kind: str, name: str, operation: str) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
    resource = ResourceType.BROKER if kind == "CLUSTER" else ResourceType[kind]
    return AclBinding(resource, name.rstrip("*"), pattern, f"User:{user}", "*", AclOperation[operation], AclPermissionType.ALLOW)


def every_right() -> AclBindingFilter:
    """What finds all of them."""
    anybody: Any = None
    return AclBindingFilter(ResourceType.ANY, anybody, ResourcePatternType.ANY, anybody, anybody, AclOperation.ANY, AclPermissionType.ANY)


def _only(one: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        one.restype, one.name, one.resource_pattern_type, one.principal, one.host, one.operation, one.permission_type
    )  # fmt: skip


def _done(futures: Mapping[Any, Future[Any]]) -> None:
    for future in futures.values():
        future.result(2 * REQUEST_TIMEOUT_S)
