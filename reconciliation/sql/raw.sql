-- ClickHouse: raw telemetry of some prostheses that is not deleted, of a half-open range of time; content as in events.sql, then where it came from.
SELECT
    prosthesis_id,
    event_id_hi,
    event_id_lo,
    {content},
    log_partition,
    log_offset
FROM telemetry_events FINAL
WHERE deleted = 0 AND prosthesis_id IN %(prostheses)s
    AND toUnixTimestamp64Micro(recorded_at) >= %(first_us)s AND toUnixTimestamp64Micro(recorded_at) < %(end_us)s
