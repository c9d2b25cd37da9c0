-- One generation: a set of tables in a database of its own, {generation_database} (bionicpro_g1, bionicpro_g2, …).
-- A worker writes only its own; readers see one through the views in {shared}.
-- old_parts_lifetime (seconds): how long files of replaced parts stay; an erasure is done only when they are gone.
CREATE DATABASE IF NOT EXISTS {generation_database};

-- Telemetry as canonical events, one row an event of the source; the greatest lsn wins. A deleted event keeps its row
-- with deleted = 1, so that a redelivered insert cannot bring it back. event_id is split in two so that UUID ids are
-- exact and both halves travel as NumPy columns; integer ids have event_id_hi = 0. Columns: schemas/raw_telemetry.py.
CREATE TABLE IF NOT EXISTS {generation_database}.telemetry_events
(
    {raw_columns},
    INDEX by_time recorded_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(lsn)
ORDER BY (prosthesis_id, event_id_hi, event_id_lo)
SETTINGS index_granularity = 1024, old_parts_lifetime = 60;

-- The fold of one (prosthesis, day, user). next_offset is the first log offset that is not in it (Kafka's way to say how far): one above the
-- report's version; 0 where nothing is folded yet and the row only says that the report may exist. `fold` is the fixed layout of
-- stream_processor/domain/fold.py, whose number is fold_format; a state of another number is computed again from raw.
CREATE TABLE IF NOT EXISTS {generation_database}.report_state
(
    report_date     Date32,
    prosthesis_id   String,
    user_id         String,
    next_offset     UInt64,
    fold_format     UInt8,
    fold            String CODEC(ZSTD(1)),
    errors_by_code  Map(String, UInt32),
    log_partition   UInt16
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY (report_date, prosthesis_id, user_id)
SETTINGS index_granularity = 256, old_parts_lifetime = 60;

-- The ownership document in force: who owned the prosthesis when. crm_offset is the CRM record it was made from.
CREATE TABLE IF NOT EXISTS {generation_database}.ownership
(
    prosthesis_id   String,
    crm_offset      Int64,
    log_partition   UInt16,
    log_offset      UInt64,
    document        String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(crm_offset)
ORDER BY (log_partition, prosthesis_id)
SETTINGS index_granularity = 256, old_parts_lifetime = 60;

-- How far each partition of each topic is handled, and the source's time of the last record: as_of.
CREATE TABLE IF NOT EXISTS {generation_database}.partition_progress
(
    topic           LowCardinality(String),
    log_partition   UInt16,
    topic_id        String,
    partition_count UInt16,
    handled_offset  UInt64,
    as_of           DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(handled_offset)
ORDER BY (topic, log_partition)
SETTINGS index_granularity = 256;

-- The mart; its columns are in schemas/mart.py. version = the log offset that the row includes; the same version means the same content.
CREATE TABLE IF NOT EXISTS {generation_database}.user_daily_reports
(
    {mart_columns}
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (user_id, report_date, prosthesis_id)
SETTINGS index_granularity = 256, old_parts_lifetime = 60;

-- Who stands in a document, so that it is found by them. Made of the document, and gone with it.
ALTER TABLE {generation_database}.ownership
    ADD COLUMN IF NOT EXISTS users Array(String)
        MATERIALIZED arrayDistinct(JSONExtract(document, 'intervals', 'Array(Tuple(user_id String))').user_id),
    ADD INDEX IF NOT EXISTS by_user users TYPE bloom_filter GRANULARITY 1,
    ADD COLUMN IF NOT EXISTS search_text String
        MATERIALIZED replaceAll(lowerUTF8(normalizeUTF8NFKC(concat(JSONExtractString(document, 'serial_number'), '\n', arrayStringConcat(
            arrayMap(i -> concat(i.1, '\n', i.2), JSONExtract(document, 'intervals', 'Array(Tuple(customer_name String, contract_number String))')), '\n')))), 'ё', 'е');

-- Columns that came later: this file is run again on the generation that serves.
ALTER TABLE {generation_database}.telemetry_events
    {raw_additions},
    -- Whether raw has anything from further down the log is asked before every recompute (docs/adr/0052-raw-from-ahead.md).
    ADD INDEX IF NOT EXISTS by_offset log_offset TYPE minmax GRANULARITY 1;
ALTER TABLE {generation_database}.user_daily_reports
    {mart_additions};
-- One that went: what is news is asked of raw (docs/adr/0031-what-is-news.md). A worker that still writes it ends, and is started again with the new program.
ALTER TABLE {generation_database}.report_state DROP COLUMN IF EXISTS highest_id;
