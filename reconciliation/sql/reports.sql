-- Reports of the given local days, recomputed from telemetry and the given ownership intervals. Runs on the telemetry database.
-- One row a (user, day, prosthesis) with at least one event, in the fields and units of the mart. Of a list, only the places that have a value come, and
-- the values at them, as two rows of an array (oracle.py spreads them out); no errors are null.
WITH valid_events AS (
    {valid_events}
),
intervals AS MATERIALIZED (
    SELECT *, dense_rank() OVER (ORDER BY user_id, prosthesis_id) AS pair_no
    FROM jsonb_to_recordset(%(intervals)s::jsonb) AS i (
        prosthesis_id text, starts_us bigint, ends_us bigint, user_id text, customer_id text, customer_name text, timezone text,
        contract_id text, contract_number text, prosthesis_model text, prosthesis_serial_number text)
),
days AS MATERIALIZED (
    SELECT *, row_number() OVER () AS day_no
    FROM jsonb_to_recordset(%(days)s::jsonb) AS d (timezone text, report_date date, starts_us bigint, ends_us bigint)
),
-- A day under each UTC day that it touches, so that events find their day by equality.
day_index AS MATERIALIZED (
    SELECT d.timezone, d.day_no, d.starts_us, d.ends_us, u.utc_day
    FROM days AS d
    CROSS JOIN LATERAL generate_series(d.starts_us / 86400000000, (d.ends_us - 1) / 86400000000) AS u (utc_day)
),
-- Owners first: joined with the days first, each event would be there once a time zone.
owned AS (
    SELECT e.*, i.pair_no, i.timezone
    FROM valid_events AS e
    JOIN intervals AS i
        ON i.prosthesis_id = e.prosthesis_id AND e.recorded_us >= i.starts_us AND (i.ends_us IS NULL OR e.recorded_us < i.ends_us)
    OFFSET 0
),
placed AS MATERIALIZED (
    SELECT
        e.pair_no,
        d.day_no,
        (e.recorded_us - d.starts_us) / 3600000000 AS slot,
        e.recorded_us - d.starts_us AS offset_us,
        e.recorded_us,
        e.amplitude_uv,
        e.recognised,
        e.active_ms,
        e.battery_bp,
        e.error_code,
        e.error_severity,
        e.lat_cell,
        e.lon_cell
    FROM owned AS e
    JOIN day_index AS d
        ON d.timezone = e.timezone AND d.utc_day = e.recorded_us / 86400000000
        AND e.recorded_us >= d.starts_us AND e.recorded_us < d.ends_us
),
-- Values are packed behind the time within the day (below 2^37), so that min and max over (time, value) are of one integer.
slots AS MATERIALIZED (
    SELECT
        pair_no,
        day_no,
        slot,
        count(*) AS event_count,
        min(recorded_us) AS first_us,
        max(recorded_us) AS last_us,
        sum(active_ms)::bigint AS usage_ms,
        count(amplitude_uv) AS signal_count,
        count(*) FILTER (WHERE recognised) AS recognised_count,
        sum(amplitude_uv)::bigint AS amplitude_sum,
        min(amplitude_uv) AS amplitude_min,
        max(amplitude_uv) AS amplitude_max,
        count(battery_bp) AS battery_count,
        min(battery_bp) AS battery_min,
        max(battery_bp) AS battery_max,
        min(offset_us * 16384 + battery_bp) %% 16384 AS battery_first,
        max(offset_us * 16384 + battery_bp) %% 16384 AS battery_last,
        count(error_code) AS error_count,
        count(*) FILTER (WHERE error_severity = 'critical') AS critical_count,
        max((offset_us * 2048 + lat_cell + 900) * 4096 + lon_cell + 1800) AS last_location
    FROM placed
    GROUP BY pair_no, day_no, slot
),
battery AS (
    SELECT
        pair_no,
        day_no,
        (array_agg(battery_first ORDER BY slot))[1] AS battery_first,
        (array_agg(battery_last ORDER BY slot DESC))[1] AS battery_last,
        ARRAY[array_agg(slot), array_agg(battery_first)] AS first_by_slot,
        ARRAY[array_agg(slot), array_agg(battery_last)] AS last_by_slot,
        sum(greatest(0, battery_first - battery_last) + greatest(0, coalesce(before - battery_first, 0)))::bigint AS drain
    FROM (
        SELECT pair_no, day_no, slot, battery_first, battery_last,
            lag(battery_last) OVER (PARTITION BY pair_no, day_no ORDER BY slot) AS before
        FROM slots
        WHERE battery_count > 0
    ) AS sampled
    GROUP BY pair_no, day_no
),
errors AS (
    SELECT pair_no, day_no, jsonb_object_agg(error_code, n) AS by_code
    FROM (
        SELECT pair_no, day_no, error_code, count(*) AS n FROM placed WHERE error_code IS NOT NULL GROUP BY pair_no, day_no, error_code
    ) AS e
    GROUP BY pair_no, day_no
),
buckets AS (
    SELECT pair_no, day_no, ARRAY[array_agg(bucket), array_agg(n)] AS by_bucket
    FROM (
        -- How many of the thresholds are at or below the amplitude: 0 for 0, 1 for 1, 2 for 2–3, … 15 from 16384.
        SELECT pair_no, day_no,
            width_bucket(amplitude_uv, ARRAY[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]::bigint[])::bigint AS bucket,
            count(*) AS n
        FROM placed
        WHERE amplitude_uv IS NOT NULL
        GROUP BY pair_no, day_no, bucket
    ) AS b
    GROUP BY pair_no, day_no
),
totals AS (
    SELECT
        pair_no,
        day_no,
        sum(event_count)::bigint AS event_count,
        min(first_us) AS first_us,
        max(last_us) AS last_us,
        coalesce(sum(usage_ms), 0)::bigint AS usage_ms,
        ARRAY[array_agg(slot), array_agg(coalesce(usage_ms, 0))] AS usage_by_slot,
        sum(signal_count)::bigint AS signal_count,
        sum(recognised_count)::bigint AS recognised_count,
        coalesce(sum(amplitude_sum), 0)::bigint AS amplitude_sum,
        coalesce(min(amplitude_min), 0) AS amplitude_min,
        coalesce(max(amplitude_max), 0) AS amplitude_max,
        sum(battery_count)::bigint AS battery_count,
        coalesce(min(battery_min), 0) AS battery_min,
        coalesce(max(battery_max), 0) AS battery_max,
        sum(error_count)::bigint AS error_count,
        sum(critical_count)::bigint AS critical_count,
        max(last_location) AS last_location
    FROM slots
    GROUP BY pair_no, day_no
),
-- The attributes of a report: of the user's last effective interval that intersects the day.
attributes AS (
    SELECT DISTINCT ON (t.pair_no, t.day_no) t.day_no, i.*
    FROM totals AS t
    JOIN days AS d ON d.day_no = t.day_no
    JOIN intervals AS i
        ON i.pair_no = t.pair_no AND i.starts_us < d.ends_us AND (i.ends_us IS NULL OR i.ends_us > d.starts_us)
    ORDER BY t.pair_no, t.day_no, i.starts_us DESC
)
SELECT
    a.user_id,
    d.report_date,
    a.prosthesis_id,
    a.customer_name,
    a.timezone,
    a.contract_number,
    a.prosthesis_model,
    a.prosthesis_serial_number,
    d.starts_us / 1000000 AS day_starts_at,
    d.ends_us / 1000000 AS day_ends_at,
    a.customer_id,
    a.contract_id,
    t.event_count,
    t.first_us AS first_event_at,
    t.last_us AS last_event_at,
    t.usage_ms,
    t.usage_by_slot AS usage_ms_by_hour,
    t.signal_count,
    t.recognised_count,
    t.amplitude_sum AS amplitude_uv_sum,
    t.amplitude_min AS amplitude_uv_min,
    t.amplitude_max AS amplitude_uv_max,
    h.by_bucket AS amplitude_histogram,
    t.battery_count,
    t.battery_min AS battery_min_bp,
    t.battery_max AS battery_max_bp,
    coalesce(b.battery_first, 0) AS battery_first_bp,
    coalesce(b.battery_last, 0) AS battery_last_bp,
    coalesce(b.drain, 0) AS battery_drain_bp,
    b.first_by_slot AS battery_first_bp_by_hour,
    b.last_by_slot AS battery_last_bp_by_hour,
    t.error_count,
    t.critical_count AS critical_error_count,
    e.by_code AS errors_by_code,
    t.last_location / 4096 %% 2048 - 900 AS location_lat_cell,
    t.last_location %% 4096 - 1800 AS location_lon_cell
FROM totals AS t
JOIN days AS d ON d.day_no = t.day_no
JOIN attributes AS a ON a.pair_no = t.pair_no AND a.day_no = t.day_no
LEFT JOIN battery AS b ON b.pair_no = t.pair_no AND b.day_no = t.day_no
LEFT JOIN errors AS e ON e.pair_no = t.pair_no AND e.day_no = t.day_no
LEFT JOIN buckets AS h ON h.pair_no = t.pair_no AND h.day_no = t.day_no
ORDER BY a.user_id COLLATE "C", d.report_date, a.prosthesis_id COLLATE "C"
