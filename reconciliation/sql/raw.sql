-- ClickHouse: raw telemetry that is not deleted, of a half-open range of time; content as in events.sql, then where it came from.
SELECT
    prosthesis_id,
    event_id_hi,
    event_id_lo,
    toUnixTimestamp64Micro(recorded_at) AS recorded_us,
    facets,
    amplitude_uv,
    recognised,
    active_ms,
    battery_bp,
    error_code,
    error_severity,
    lat_cell,
    lon_cell,
    log_partition,
    log_offset
FROM telemetry_events FINAL
WHERE deleted = 0 AND recorded_us >= %(first_us)s AND recorded_us < %(end_us)s
