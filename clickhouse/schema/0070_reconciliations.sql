-- What scheduled reconciliations found and did: one row a window of days and phase ('found': before anything was mended, 'left': after it). run_id is the run's in Airflow.
CREATE TABLE {shared}.reconciliation_runs
(
    run_id             String,
    from_day           Date32,
    to_day             Date32,
    phase              LowCardinality(String),
    generation         String,
    recorded_at        DateTime64(3, 'UTC'),
    seconds            Float64,
    equal              Bool,
    rows_compared      UInt64,
    fields_compared    UInt64,
    different          UInt64,
    missing            UInt64,
    surplus            UInt64,
    unverified         UInt64,
    raw_missing        UInt64,
    raw_different      UInt64,
    raw_surplus        UInt64,
    states             UInt64,
    ownership          UInt64,
    waiting_for_owner  UInt64,
    problems           Array(String)
)
ENGINE = ReplacingMergeTree(recorded_at)
ORDER BY (run_id, from_day, to_day, phase)
TTL toDateTime(recorded_at) + INTERVAL 400 DAY;

-- The single differences of a window and phase, as many as its reader can use; their whole number is above. kind: field, missing, surplus, unverified, state,
-- gap (events of a prosthesis in a UTC day), raw missing, raw different, raw surplus (field: the event's id), ownership. No names and no user ids: a value stands here only where the field is a number.
CREATE TABLE {shared}.reconciliation_differences
(
    run_id         String,
    from_day       Date32,
    to_day         Date32,
    phase          LowCardinality(String),
    kind           LowCardinality(String),
    prosthesis_id  String,
    report_date    Date32,
    field          String,
    expected       String,
    actual         String,
    recorded_at    DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(recorded_at)
ORDER BY (run_id, from_day, to_day, phase, kind, prosthesis_id, report_date, field)
TTL toDateTime(recorded_at) + INTERVAL 30 DAY;
