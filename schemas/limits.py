"""How large a record may be at each place that it passes: the one table. ``tests/contract/test_limits.py`` walks it against every file and program that holds one of these.

Bytes, uncompressed where not said otherwise. Each place takes more than the one before it may hand on, so that nothing that was taken in gets stuck further on.
What is larger is refused where it would come in: a value at the source's edge (cut, and invalid then), a document by the directory, and a dead letter is written cut, and says so.
"""

from __future__ import annotations

from typing import NamedTuple

TEXT_CHARACTERS = 1_000  # of a captured text column; the connectors cut there, far above what any column of a report may hold
MOST_BYTES_PER_CHARACTER = 6  # a control character in JSON, as \u0000
CAPTURED_COLUMNS = 16  # of one table, at most
ENVELOPE_BYTES = 8 << 10  # all but the rows' texts

ROW_RECORD = (
    ENVELOPE_BYTES + 2 * CAPTURED_COLUMNS * TEXT_CHARACTERS * MOST_BYTES_PER_CHARACTER
)  # an update carries the row before and after
CONNECTOR_REQUEST = 1 << 20  # producer.override.max.request.size of the connectors
CRM_MESSAGE = 2 << 20  # max.message.bytes of crm.changes
DIRECTORY_MESSAGE = 3 << 20  # max.message.bytes of the directory table's changelog: a row of the CRM as the processor keeps it
OWN_RECORD = 3 << 20  # an ownership document or an erasure's command, as the directory sends it
LOG_MESSAGE = 4 << 20  # max.message.bytes of prosthesis.log
DEAD_LETTER = (9 << 20) // 2  # key, value and headers together; what is larger is cut
PROCESSOR_REQUEST = 5 << 20  # producer_max_request_size of the processor
OPERATOR_REQUEST = 5 << 20  # message.max.bytes of the operator's producers, which send dead letters back
DEAD_LETTER_MESSAGE = 6 << 20  # max.message.bytes of prosthesis.dead-letters
PARTITION_FETCH = 16 << 20  # what a consumer asks of one partition at once

LETTER_KEY = 4 << 10  # of a dead letter: more of a key is cut
LETTER_HEADERS = 64 << 10  # of a dead letter: more of the record's own headers are left out
LETTER_OVERHEAD = 8 << 10  # a dead letter's own headers, and what Kafka adds


class Place(NamedTuple):
    name: str
    bytes: int


# In the order in which a record passes them.
CRM_CHAIN = (
    Place("a row of the CRM, twice", ROW_RECORD),
    Place("connector crm's request", CONNECTOR_REQUEST),
    Place("message of crm.changes", CRM_MESSAGE),
    Place("message of the directory's changelog", DIRECTORY_MESSAGE),
)
TELEMETRY_CHAIN = (
    Place("a row of telemetry, twice", ROW_RECORD),
    Place("connector telemetry's request", CONNECTOR_REQUEST),
    Place("message of prosthesis.log", LOG_MESSAGE),
    Place("dead letter", DEAD_LETTER),
    Place("processor's request", PROCESSOR_REQUEST),
    Place("message of prosthesis.dead-letters", DEAD_LETTER_MESSAGE),
    Place("fetch of a partition", PARTITION_FETCH),
)
OWN_CHAIN = (
    Place("document or command", OWN_RECORD),
    Place("message of prosthesis.log", LOG_MESSAGE),
    Place("processor's request", PROCESSOR_REQUEST),
    Place("fetch of a partition", PARTITION_FETCH),
)
REPLAY_CHAIN = (
    Place("dead letter", DEAD_LETTER),
    Place("operator's request", OPERATOR_REQUEST),
)
CHAINS = (CRM_CHAIN, TELEMETRY_CHAIN, OWN_CHAIN, REPLAY_CHAIN)
