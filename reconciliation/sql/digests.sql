-- Valid events by prosthesis and UTC day: how many there are, and the sum of their hashes, as raw_digests.sql computes it of the raw table.
WITH valid_events AS (
    {valid_events}
),
hashed AS (
    SELECT
        prosthesis_id,
        recorded_us / 86400000000 AS utc_day,
        ('x' || substr(md5(concat_ws(
            '|',
            replace(event_id, '-', ''),
            recorded_us,
            has_signal::integer + 2 * has_battery::integer + 4 * has_error::integer + 8 * has_location::integer,
            coalesce(amplitude_uv, 0),
            coalesce(recognised, false)::integer,
            coalesce(active_ms, 0),
            coalesce(battery_bp, 0),
            coalesce(error_code, ''),
            CASE error_severity WHEN 'info' THEN 1 WHEN 'warning' THEN 2 WHEN 'critical' THEN 3 ELSE 0 END,
            coalesce(lat_cell, 0),
            coalesce(lon_cell, 0)
        )), 1, 15))::bit(60)::bigint AS hash
    FROM valid_events
)
SELECT prosthesis_id, utc_day::integer, count(*), mod(sum(hash), 18446744073709551616)::text
FROM hashed
GROUP BY prosthesis_id, utc_day
