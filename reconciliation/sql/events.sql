-- Valid telemetry in the raw table's terms: facets as bits, absent values 0 or empty text. Which rows is said by what is filled in.
WITH valid_events AS (
    {valid_events}
)
SELECT
    prosthesis_id,
    event_id,
    recorded_us,
    has_signal::integer + 2 * has_battery::integer + 4 * has_error::integer + 8 * has_location::integer AS facets,
    coalesce(amplitude_uv, 0),
    coalesce(recognised, false)::integer,
    coalesce(active_ms, 0),
    coalesce(battery_bp, 0),
    coalesce(error_code, ''),
    CASE error_severity WHEN 'info' THEN 1 WHEN 'warning' THEN 2 WHEN 'critical' THEN 3 ELSE 0 END,
    coalesce(lat_cell, 0),
    coalesce(lon_cell, 0)
FROM valid_events
