"""What an error of ClickHouse or of its driver means. Only an outage is worth waiting for: a value that cannot be written stays unwritable."""

from __future__ import annotations

import ssl
from enum import Enum

from clickhouse_driver import errors
from clickhouse_driver.errors import ErrorCodes


class Trouble(Enum):
    """OUTAGE: the network, or a server that is away or has too much to do; the same request may succeed later. DATA: about the values at hand.
    REFUSED: whatever the values are (schema, rights, settings, a defect); nothing but a change of ours helps."""

    OUTAGE = "outage"
    DATA = "data"
    REFUSED = "refused"


OUTAGE_CODES = frozenset(
    {
        ErrorCodes.TIMEOUT_EXCEEDED, ErrorCodes.TOO_SLOW, ErrorCodes.TOO_MANY_SIMULTANEOUS_QUERIES, ErrorCodes.NO_FREE_CONNECTION,
        ErrorCodes.SOCKET_TIMEOUT, ErrorCodes.NETWORK_ERROR, ErrorCodes.ABORTED, ErrorCodes.MEMORY_LIMIT_EXCEEDED, ErrorCodes.TABLE_IS_READ_ONLY,
        ErrorCodes.NOT_ENOUGH_SPACE, ErrorCodes.TOO_MANY_PARTS, ErrorCodes.ALL_CONNECTION_TRIES_FAILED, ErrorCodes.TOO_LESS_LIVE_REPLICAS,
        ErrorCodes.UNKNOWN_STATUS_OF_INSERT, ErrorCodes.QUERY_WAS_CANCELLED, ErrorCodes.KEEPER_EXCEPTION,
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
    }
)  # fmt: skip
DATA_CODES = frozenset(
    {
        ErrorCodes.CANNOT_PARSE_TEXT, ErrorCodes.PARAMETER_OUT_OF_BOUND, ErrorCodes.CANNOT_PARSE_INPUT_ASSERTION_FAILED,
        ErrorCodes.CANNOT_PARSE_DATE, ErrorCodes.CANNOT_PARSE_DATETIME, ErrorCodes.TYPE_MISMATCH, ErrorCodes.ARGUMENT_OUT_OF_BOUND,
        ErrorCodes.CANNOT_CONVERT_TYPE, ErrorCodes.CANNOT_PARSE_NUMBER, ErrorCodes.INCORRECT_DATA, ErrorCodes.TOO_LARGE_ARRAY_SIZE,
        ErrorCodes.TOO_LARGE_STRING_SIZE, ErrorCodes.SIZES_OF_ARRAYS_DOESNT_MATCH, ErrorCodes.VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE,
        ErrorCodes.CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN, ErrorCodes.INVALID_PARTITION_VALUE,
        407,  # DECIMAL_OVERFLOW
        469,  # VIOLATED_CONSTRAINT
    }
)  # fmt: skip
# The driver's own, about a value that it was to write.
_DATA_ERRORS = (errors.TypeMismatchError, errors.TooLargeStringSize, errors.CannotParseUuidError, errors.CannotParseDomainError)
# The driver's own, about a connection whose bytes are no longer those of the protocol; it connects anew.
_BROKEN_CONNECTION = (
    errors.NetworkError, errors.SocketTimeoutError, errors.PartiallyConsumedQueryError, errors.UnknownPacketFromServerError,
    errors.UnexpectedPacketFromServerError, errors.ChecksumDoesntMatchError,
)  # fmt: skip
# Code 241 too, but of what one query asks for itself: less of it at once helps, time does not. The limits of a user and of the server are about everything that runs beside it.
_OF_ONE_QUERY = ("Query memory limit exceeded", "Memory limit (for query) exceeded")
# Code 252 too, but of one insert whose rows lie in too many months: fewer rows help, time does not.
_TOO_MANY_PARTITIONS = "Too many partitions for single INSERT block"


def trouble_of(error: Exception) -> Trouble:
    """What *error*, raised by a call of the driver, means. An error that is neither the driver's nor the network's comes from the values that were given."""
    if isinstance(error, errors.ServerException):
        return _of_server(error)
    if isinstance(error, _BROKEN_CONNECTION) or (
        isinstance(error, EOFError | OSError) and not isinstance(error, ssl.SSLCertVerificationError)
    ):
        return Trouble.OUTAGE
    if isinstance(error, errors.Error) and not isinstance(error, _DATA_ERRORS):
        return Trouble.REFUSED
    return Trouble.REFUSED if isinstance(error, ssl.SSLError) else Trouble.DATA


def _of_server(error: errors.ServerException) -> Trouble:
    said = str(error.message)
    if error.code == ErrorCodes.TOO_MANY_PARTS and _TOO_MANY_PARTITIONS in said:
        return Trouble.DATA
    if error.code == ErrorCodes.MEMORY_LIMIT_EXCEEDED and any(text in said for text in _OF_ONE_QUERY):
        return Trouble.DATA
    if error.code in OUTAGE_CODES:
        return Trouble.OUTAGE
    return Trouble.DATA if error.code in DATA_CODES else Trouble.REFUSED
