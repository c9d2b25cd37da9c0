"""The names of Faust and aiokafka that are not part of their interface and that the transport stands on, each with what it is relied on for.

They may change with any release. ``tests/contract/test_inner_names.py`` holds the code of each by a digest, so that an upgrade that changes one fails there,
and finds uses that are missing here. After such a failure read the new code against the reason given, and then replace the digest in the test.
"""

from __future__ import annotations

from collections.abc import Mapping

CONSUMER = "faust.transport.consumer:Consumer"
THREAD_DELEGATE = "faust.transport.consumer:ThreadDelegateConsumer"
DRIVER_CONSUMER = "faust.transport.drivers.aiokafka:Consumer"
DRIVER_THREAD = "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread"
TABLES = "faust.tables.manager:TableManager"
AIOKAFKA = "aiokafka.consumer.consumer:AIOKafkaConsumer"
COORDINATOR = "aiokafka.consumer.group_coordinator:GroupCoordinator"
RECORDS = "aiokafka.consumer.fetcher:PartitionRecords"

INNER_NAMES: Mapping[str, str] = {
    f"{CONSUMER}.getmany": "what is replaced: delivery one record at a time",
    f"{CONSUMER}.ack": "what is replaced for topics whose positions are ours",
    f"{CONSUMER}.commit": "asks `_new_offset` for each partition that has something in `_acked`",
    f"{CONSUMER}._filter_tps_with_pending_acks": "looks at `_acked` to decide whether there is something to commit",
    f"{CONSUMER}._new_offset": "what is replaced: the offset to commit",
    f"{CONSUMER}._add_gap": "what is replaced: offsets that no record has",
    f"{CONSUMER}._wait_next_records": "what is wrapped: at most a tenth of a second",
    f"{CONSUMER}._get_active_partitions": "which partitions may be fetched now",
    f"{CONSUMER}.perform_seek": "what is wrapped: seeks to the committed offsets, and notes them in `_read_offset`",
    f"{CONSUMER}.seek_to_committed": "what is wrapped: answers with the committed offsets",
    f"{CONSUMER}.on_partitions_assigned": "what is wrapped: called at every assignment",
    f"{DRIVER_CONSUMER}._to_message": "the message of one record",
    f"{DRIVER_CONSUMER}._new_consumer_thread": "what is replaced: the thread that fetches",
    f"{DRIVER_THREAD}._create_worker_consumer": "what is wrapped: makes aiokafka's consumer before it is started",
    f"{DRIVER_THREAD}.on_start": "what is wrapped: makes and starts aiokafka's consumer",
    f"{TABLES}.on_start": "what is replaced: a second of waiting for tables that are declared late",
    f"{TABLES}._update_channels": "called by the replaced `on_start`",
    f"{AIOKAFKA}.start": "reads `_isolation_level`, `_fetch_max_wait_ms` and `_fetch_max_bytes` when it makes its fetcher; makes `_coordinator` and `_fetcher`",
    f"{AIOKAFKA}.seek_to_committed": "seeks to offsets above 0 alone",
    f"{COORDINATOR}.__init__": "has `member_id` and `_subscription`",
    f"{COORDINATOR}.commit_offsets": "makes CommitFailedError of RebalanceInProgressError; calls `_do_commit_offsets`",
    f"{COORDINATOR}._do_commit_offsets": "what is wrapped: sends a commit, and gives up its membership where the generation is over",
    f"{RECORDS}.__init__": "the iterator over a fetched partition",
    f"{RECORDS}._consumer_record": "what is replaced: what is made of one record of the log",
    "aiokafka.consumer.fetcher:Fetcher.__init__": "makes `_records`, where fetched partitions wait",
    "aiokafka.consumer.fetcher:Fetcher._proc_fetch_request": "puts a `FetchResult` with its `PartitionRecords` into `_records`; wrapped: it gives up a position that is out of the broker's range",
    "aiokafka.consumer.fetcher:FetchResult.__init__": "has `_partition_records`",
    f"{RECORDS}._unpack_records": "calls `_consumer_record` of its own instance for each record",
}

INNER_ATTRIBUTES: Mapping[str, str] = {
    "_acked": "acknowledged offsets by partition: what is in it is committed",
    "_n_acked": "how many were acknowledged since the last commit",
    "_unacked_messages": "messages on their way; Faust waits for them when it stops",
    "_read_offset": "the last offset delivered of each partition: lower ones are dropped",
    "_buffered_partitions": "partitions that may be delivered although they are not active",
    "_thread": "the thread that fetches",
    "_consumer": "aiokafka's consumer of that thread",
    "_fetcher": "fetches for aiokafka's consumer",
    "_records": "what was fetched and is not yet delivered, by partition",
    "_partition_records": "the iterator over a fetched partition",
    "_coordinator": "its part in the group",
    "_subscription": "says whether the group is joined anew, from the revocation to the new assignment",
    "_isolation_level": "read when the fetcher is made",
    "_fetch_max_wait_ms": "read when the fetcher is made",
    "_fetch_max_bytes": "read when the fetcher is made",
}
