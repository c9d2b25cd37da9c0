-- Erasure rules: telemetry of the prosthesis recorded in an interval (microseconds since the epoch, half-open) is never written again, in any generation.
-- Shared by all generations, and never deleted. A rule names its person by a hash alone (schemas/erasure.py).
-- log_offset is the command's place in the log (topic_id, log_partition): what is older was made without the rule.
CREATE TABLE {shared}.erasure_rules
(
    prosthesis_id   String,
    erasure_id      String,
    subject         String,
    from_us         Array(Int64),
    to_us           Array(Int64),
    issued_at       DateTime64(6, 'UTC'),
    parts           UInt32,
    customer_gone   UInt8,
    reason          String,
    topic_id        String,
    log_partition   UInt16,
    log_offset      UInt64,
    stored_at       DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(log_offset)
ORDER BY (prosthesis_id, erasure_id);

-- How far the physical removal of a rule's data is, and at last its receipt: finished_at is set once everything was looked for again and nothing was left.
-- removed counts rows by generation and table.
CREATE TABLE {shared}.erasure_receipts
(
    prosthesis_id   String,
    erasure_id      String,
    subject         String,
    reason          String,
    requested_at    DateTime64(6, 'UTC'),
    started_at      DateTime64(3, 'UTC'),
    removed_at      Nullable(DateTime64(3, 'UTC')),
    checked_at      Nullable(DateTime64(3, 'UTC')),
    finished_at     Nullable(DateTime64(3, 'UTC')),
    removed         Map(String, UInt64),
    version         UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (prosthesis_id, erasure_id);
