-- How many days telemetry is kept, one row each for `raw` (telemetry_events here) and `source` (PostgreSQL); no row or 0 days: for ever.
-- One place for all: workers, verify and repair read it here. `bionicpro schema retention` writes it and sets the tables' TTL.
CREATE TABLE {shared}.retention
(
    what        LowCardinality(String),
    days        UInt32,
    changed_at  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY what;
