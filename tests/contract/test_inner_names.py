"""The transport stands on inner names of Faust and aiokafka: all of them are listed, and an upgrade that changes one is noticed."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import pytest

import stream_processor
from stream_processor.adapters.inner_names import INNER_ATTRIBUTES, INNER_NAMES

# The first twelve digits of the SHA-256 of each one's source, as it was when it was last read against the reason in INNER_NAMES.
DIGESTS = {
    "faust.transport.consumer:Consumer.getmany": "4b168d84882a",
    "faust.transport.consumer:Consumer.ack": "5fcf41cf4515",
    "faust.transport.consumer:Consumer.commit": "a354437baaa0",
    "faust.transport.consumer:Consumer._filter_tps_with_pending_acks": "f6f923977423",
    "faust.transport.consumer:Consumer._new_offset": "1d2c7ea89a7a",
    "faust.transport.consumer:Consumer._add_gap": "4df2573ded7c",
    "faust.transport.consumer:Consumer._wait_next_records": "6218e1969a63",
    "faust.transport.consumer:Consumer._get_active_partitions": "b24897f3c7af",
    "faust.transport.consumer:Consumer.perform_seek": "0e8c130ff4b0",
    "faust.transport.consumer:Consumer.seek_to_committed": "8d52f70fc882",
    "faust.transport.consumer:Consumer.on_partitions_assigned": "29ce96596f05",
    "faust.transport.drivers.aiokafka:Consumer._to_message": "7c24f6511b2f",
    "faust.transport.drivers.aiokafka:Consumer._new_consumer_thread": "0870ec53dea7",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._create_worker_consumer": "c2701bfc3e6f",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.on_start": "38b4e8bd1e10",
    "faust.tables.manager:TableManager.on_start": "365dd25fbc0e",
    "faust.tables.manager:TableManager._update_channels": "88e3941facc9",
    "aiokafka.consumer.consumer:AIOKafkaConsumer.start": "2f1ba7044332",
    "aiokafka.consumer.consumer:AIOKafkaConsumer.seek_to_committed": "f6cd85c8b70a",
    "aiokafka.consumer.group_coordinator:GroupCoordinator.commit_offsets": "5cbe31af28d6",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._do_commit_offsets": "c3a3ea5613f3",
    "aiokafka.consumer.group_coordinator:GroupCoordinator.__init__": "9e729f077efc",
    "aiokafka.consumer.fetcher:PartitionRecords.__init__": "8ec1c2ae6ea1",
    "aiokafka.consumer.fetcher:PartitionRecords._consumer_record": "e668541600b0",
    "aiokafka.consumer.fetcher:Fetcher.__init__": "bf21ecb7e0f2",
    "aiokafka.consumer.fetcher:Fetcher._proc_fetch_request": "59bf948fff47",
    "aiokafka.consumer.fetcher:FetchResult.__init__": "126a3e45763b",
    "aiokafka.consumer.fetcher:PartitionRecords._unpack_records": "b803e6d46480",
}
ON_INNER_NAMES = ("adapters/commits.py", "adapters/expired.py", "adapters/kafka_transport.py", "adapters/log_records.py", "app.py")


def digest(name: str) -> str:
    module, _, path = name.partition(":")
    target = reduce(getattr, path.split("."), importlib.import_module(module))
    return hashlib.sha256(inspect.getsource(target).encode()).hexdigest()[:12]


@pytest.mark.parametrize("name", INNER_NAMES)
def test_an_inner_name_is_the_code_that_was_read(name: str) -> None:
    assert digest(name) == DIGESTS.get(name), f"{name} changed ({INNER_NAMES[name]}): read it again, then replace its digest"


def test_no_digest_is_left_over() -> None:
    assert DIGESTS.keys() == INNER_NAMES.keys()


def test_every_inner_name_that_is_used_is_listed() -> None:
    listed = {name.rsplit(".", 1)[-1] for name in INNER_NAMES} | INNER_ATTRIBUTES.keys()
    root = Path(stream_processor.__file__).parent
    used = {name for file in ON_INNER_NAMES for name in foreign_names(ast.parse((root / file).read_text(encoding="utf-8")))}
    assert used - listed == set()
    assert INNER_ATTRIBUTES.keys() - used == set()


def foreign_names(tree: ast.Module) -> Iterator[str]:
    """Attributes with one leading underscore that the class they are used in does not make itself."""
    for top in tree.body:
        own = {"_exit", *own_names(top)} if isinstance(top, ast.ClassDef) else {"_exit"}
        for node in ast.walk(top):
            if isinstance(node, ast.Attribute) and node.attr not in own and node.attr.startswith("_") and not node.attr.startswith("__"):
                yield node.attr


def own_names(of: ast.ClassDef) -> Iterator[str]:
    """The methods of a class, and the attributes that its ``__init__`` sets."""
    for item in of.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            yield item.name
            if item.name == "__init__":
                yield from (node.attr for node in ast.walk(item) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
