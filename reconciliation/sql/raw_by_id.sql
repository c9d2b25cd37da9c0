-- ClickHouse: the content of raw telemetry of certain keys, as in events.sql; deleted rows have none.
SELECT
    prosthesis_id,
    event_id_hi,
    event_id_lo,
    {content}
FROM telemetry_events FINAL
WHERE deleted = 0 AND (prosthesis_id, event_id_hi, event_id_lo) IN %(keys)s
