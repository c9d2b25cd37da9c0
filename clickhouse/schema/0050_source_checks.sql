-- What `bionicpro connectors watch` saw of each source at its last look (connectors/contract.py). One row a source and generation.
-- arrives: nothing keeps its rows from arriving whole; whole_at: the last look at which that was so. Reports are no fresher than that (views.sql).
-- system_identifier, timeline and lsn: the server that this generation was filled from, kept as they were when another one answers.
CREATE TABLE {shared}.source_checks
(
    source             LowCardinality(String),
    generation         UInt32,
    checked_at         DateTime64(3, 'UTC'),
    arrives            Bool,
    whole_at           DateTime64(3, 'UTC'),
    findings           String,
    system_identifier  String,
    timeline           UInt32,
    lsn                UInt64
)
ENGINE = ReplacingMergeTree(checked_at)
ORDER BY (source, generation);
