"""Which PostgreSQL types can carry what a mapping wants of a column: the one list of them, beside the table in ``connectors/README.md``.

Types are named as ``pg_type`` names them, after domains are resolved to what they are made of; every enumeration is ``enum``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Carries = Literal["id", "integer id", "uuid", "timestamp", "integer", "number", "boolean", "text"]

_INTEGERS = frozenset({"int2", "int4", "int8"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "enum"})

USABLE: Mapping[Carries, frozenset[str]] = {
    "id": _INTEGERS | _TEXTS | {"uuid", "numeric"},
    "integer id": _INTEGERS | {"numeric"} | _TEXTS,
    "uuid": frozenset({"uuid"}) | _TEXTS,
    "timestamp": frozenset({"timestamptz", "timestamp"}) | _TEXTS,
    "integer": _INTEGERS | {"numeric", "float4", "float8"} | _TEXTS,
    "number": _INTEGERS | {"numeric", "float4", "float8", "money"} | _TEXTS,
    "boolean": frozenset({"bool", "bit", "numeric"}) | _INTEGERS | _TEXTS,
    "text": _TEXTS | _INTEGERS | {"uuid"},
}
