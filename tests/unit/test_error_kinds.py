"""Which errors are an outage, and are waited for; all others are told at once."""

from __future__ import annotations

import errno
import ssl
import struct

import httpx
import psycopg
import pytest
from clickhouse_driver import errors
from clickhouse_driver.errors import ErrorCodes, ServerException
from confluent_kafka import KafkaError, KafkaException

from service_kit.clickhouse_errors import Trouble, trouble_of
from service_kit.outages import is_outage

ANSWER = httpx.Request("GET", "http://x")


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (errors.NetworkError(), Trouble.OUTAGE),
        (errors.SocketTimeoutError(), Trouble.OUTAGE),
        (ConnectionRefusedError(), Trouble.OUTAGE),
        (EOFError(), Trouble.OUTAGE),
        (ServerException("(total) memory limit exceeded: would use 4.00 GiB", ErrorCodes.MEMORY_LIMIT_EXCEEDED), Trouble.OUTAGE),
        (ServerException("User memory limit exceeded: would use 1.00 GiB", ErrorCodes.MEMORY_LIMIT_EXCEEDED), Trouble.OUTAGE),
        (ServerException("DB::Exception: Query memory limit exceeded: would use 1.00 GiB", ErrorCodes.MEMORY_LIMIT_EXCEEDED), Trouble.DATA),
        (ServerException("DB::Exception: Memory limit (for query) exceeded: …", ErrorCodes.MEMORY_LIMIT_EXCEEDED), Trouble.DATA),
        (ServerException("Too many parts (300) in all partitions", ErrorCodes.TOO_MANY_PARTS), Trouble.OUTAGE),
        (ServerException("Too many partitions for single INSERT block (more than 100)", ErrorCodes.TOO_MANY_PARTS), Trouble.DATA),
        (ServerException("", ErrorCodes.VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE), Trouble.DATA),
        (errors.TypeMismatchError("Column recorded_at"), Trouble.DATA),
        (struct.error("'I' format requires 0 <= number"), Trouble.DATA),
        (OverflowError(), Trouble.DATA),
        (ServerException("", ErrorCodes.UNKNOWN_TABLE), Trouble.REFUSED),
        (ServerException("", ErrorCodes.WRONG_PASSWORD), Trouble.REFUSED),
        (errors.UnknownTypeError(), Trouble.REFUSED),
        (ssl.SSLCertVerificationError(), Trouble.REFUSED),
    ],
    ids=repr,
)
def test_only_the_network_and_an_overloaded_server_are_an_outage_of_clickhouse(error: Exception, trouble: Trouble) -> None:
    assert trouble_of(error) is trouble


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.OperationalError('connection failed: … FATAL:  password authentication failed for user "auditor"'), False),
        (psycopg.OperationalError("connection failed: … FATAL:  the database system is starting up"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.InvalidCatalogName(), False),
        (psycopg.errors.NumericValueOutOfRange(), False),
        (psycopg.errors.UndefinedColumn(), False),
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), True),
        (KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)), True),
        (KafkaException(KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS)), True),
        (KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)), False),
        (KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)), False),
        (KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)), False),
        (httpx.ConnectError("refused"), True),
        (httpx.HTTPStatusError("", request=ANSWER, response=httpx.Response(400)), False),
        (httpx.HTTPStatusError("", request=ANSWER, response=httpx.Response(503)), True),
        (errors.NetworkError(), True),
        (ServerException("", ErrorCodes.TYPE_MISMATCH), False),
        (TimeoutError(), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), True),
        (OSError(errno.EHOSTUNREACH, ""), True),
        (FileNotFoundError(errno.ENOENT, "no such file"), False),
        (OSError(errno.ENOSPC, "disk full"), False),
        (httpx.UnsupportedProtocol("ftp"), False),
    ],
    ids=repr,
)
def test_commands_say_that_a_server_does_not_answer_only_where_it_does_not(error: Exception, outage: bool) -> None:
    assert is_outage(error) is outage
