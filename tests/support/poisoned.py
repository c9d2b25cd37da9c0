"""``python -m tests.support.poisoned``: the very processor, which fails at what no input is known to make it fail at: an event and a customer of these values.

Its limit of what one record of the directory may hold is small, so that few contracts reach it.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

from schemas import limits
from stream_processor.__main__ import main

POISON_UV = 666_666
POISON_NAME = "poison"
OWN_RECORD = 20_000


def poison_store(write: Any) -> Any:
    def write_telemetry(self: Any, prosthesis_ids: Any, events: Any, former: Any = None) -> None:
        if ((events.amplitude_uv == POISON_UV) & (events.deleted == 0)).any():
            raise OverflowError("an event that cannot be written")
        write(self, prosthesis_ids, events, former)

    return write_telemetry


def poison_directory(handle: Any) -> Any:
    def handled(self: Any, envelope: Any, *arguments: Any, **options: Any) -> Any:
        result = handle(self, envelope, *arguments, **options)
        if (envelope.after or {}).get("full_name") == POISON_NAME:
            raise OverflowError("a customer that cannot be handled")
        return result

    return handled


if __name__ == "__main__":
    from stream_processor.adapters.clickhouse import ClickHouseStore
    from stream_processor.domain.directory import Directory

    with (
        mock.patch.object(ClickHouseStore, "write_telemetry", poison_store(ClickHouseStore.write_telemetry)),
        mock.patch.object(Directory, "handle", poison_directory(Directory.handle)),
        mock.patch.object(limits, "OWN_RECORD", OWN_RECORD),
    ):
        main()
