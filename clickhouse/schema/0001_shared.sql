-- What all generations share. {shared} is the database that readers see (default `bionicpro`).
CREATE DATABASE IF NOT EXISTS {shared};

-- Which generations exist, and which one readers see. `state`: building | serving | retired.
CREATE TABLE {shared}.generations
(
    generation  UInt32,
    state       LowCardinality(String),
    changed_at  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY generation;
