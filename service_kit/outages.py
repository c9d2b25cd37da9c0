"""Whether an error means that a server is away: one rule for every command, whose exit code 69 says so. Imports the drivers of all servers."""

from __future__ import annotations

import errno
import socket

import httpx
import psycopg
from clickhouse_driver.errors import Error as ClickHouseError
from confluent_kafka import KafkaError, KafkaException

from service_kit.clickhouse_errors import Trouble, trouble_of

# psycopg files them under OperationalError, with the server's being away.
_REFUSED_BY_POSTGRESQL = (
    psycopg.errors.InvalidCatalogName,
    psycopg.errors.InvalidAuthorizationSpecification,
    psycopg.errors.ObjectNotInPrerequisiteState,
)

# What PostgreSQL says with FATAL while it is away or overloaded.
_PASSING_AT_POSTGRESQL = ("starting up", "shutting down", "recovery mode", "too many", "connection slots", "terminating connection")
_NETWORK = frozenset(
    {errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETRESET, errno.ENOTCONN, errno.EADDRNOTAVAIL}
)
_NEVER_SENT = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


# What Kafka's protocol guide calls retriable (Error Codes): nobody leads a partition or a group for a moment, or answers in time. The driver's own ``retriable()`` is about
# transactions alone. An unknown topic is left out, which the guide has too: it may just be wrong.
_PASSING_AT_KAFKA = frozenset(
    {
        *(
            KafkaError.LEADER_NOT_AVAILABLE,
            KafkaError.NOT_LEADER_FOR_PARTITION,
            KafkaError.REPLICA_NOT_AVAILABLE,
            KafkaError.BROKER_NOT_AVAILABLE,
        ),
        *(
            KafkaError.FENCED_LEADER_EPOCH,
            KafkaError.UNKNOWN_LEADER_EPOCH,
            KafkaError.OFFSET_NOT_AVAILABLE,
            KafkaError.UNSTABLE_OFFSET_COMMIT,
        ),
        *(
            KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
            KafkaError.COORDINATOR_NOT_AVAILABLE,
            KafkaError.NOT_COORDINATOR,
            KafkaError.NOT_CONTROLLER,
        ),
        *(KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, KafkaError.KAFKA_STORAGE_ERROR),
        *(
            KafkaError.REQUEST_TIMED_OUT,
            KafkaError.NETWORK_EXCEPTION,
            KafkaError.CONCURRENT_TRANSACTIONS,
            KafkaError.THROTTLING_QUOTA_EXCEEDED,
        ),
        # The client's own.
        *(KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE, KafkaError._MSG_TIMED_OUT),
    }
)


def is_outage(error: Exception) -> bool:
    """Whether a server or the network is away or overloaded; else the request or its data were refused, and asking again does not help."""
    match error:
        case KafkaException():
            return not error.args or not isinstance(error.args[0], KafkaError) or _passing(error.args[0])
        case psycopg.Error():
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not _refused_by_postgresql(error)
        case ClickHouseError():
            return trouble_of(error) is Trouble.OUTAGE
        case httpx.HTTPStatusError():
            return error.response.status_code >= 500 or error.response.status_code in {408, 429}
        case OSError():  # of a file, it is no server's
            return isinstance(error, ConnectionError | TimeoutError | socket.gaierror) or error.errno in _NETWORK
        case _:
            return isinstance(error, EOFError | httpx.TransportError) and not isinstance(error, _NEVER_SENT)


def _refused_by_postgresql(error: psycopg.Error) -> bool:
    """A connection that the server itself ends with FATAL has no code of its own in the driver: a wrong password, an unknown database, no right to connect."""
    if error.sqlstate is not None:
        return isinstance(error, _REFUSED_BY_POSTGRESQL)
    said = str(error)
    return "FATAL:" in said and not any(passing in said for passing in _PASSING_AT_POSTGRESQL)


def _passing(error: KafkaError) -> bool:
    return bool(error.retriable()) or error.code() in _PASSING_AT_KAFKA
