-- Telemetry that docs/metrics.md calls valid, in its units: the first part of every other query on the telemetry database.
-- {within} limits the rows read (times, prostheses); what erasure rules cover is left out; the expressions in braces come from the source mapping.
-- Numbers are double precision and NaN where they are out of range, so that no absurd input can overflow anything.
SELECT
    event_id,
    prosthesis_id,
    recorded_us,
    has_signal,
    has_battery,
    has_error,
    has_location,
    CASE WHEN has_signal THEN amplitude_uv::bigint END AS amplitude_uv,
    CASE WHEN has_signal THEN recognised END AS recognised,
    CASE WHEN has_signal THEN active_ms::bigint END AS active_ms,
    CASE WHEN has_battery THEN battery_bp::bigint END AS battery_bp,
    CASE WHEN has_error THEN error_code END AS error_code,
    CASE WHEN has_error THEN error_severity END AS error_severity,
    -- Division of integers truncates towards zero; cells are floors.
    CASE WHEN has_location
        THEN (round(latitude_ud)::bigint - (round(latitude_ud)::bigint %% 100000 + 100000) %% 100000) / 100000 END AS lat_cell,
    CASE WHEN has_location
        THEN (round(longitude_ud)::bigint - (round(longitude_ud)::bigint %% 100000 + 100000) %% 100000) / 100000 END AS lon_cell
FROM (
    SELECT
        {event_id} AS event_id,
        {prosthesis_id} AS prosthesis_id,
        {recorded_us} AS recorded_us,
        {received_us} AS received_us,
        coalesce({has_signal}, false) AS has_signal,
        coalesce({has_battery}, false) AS has_battery,
        coalesce({has_error}, false) AS has_error,
        coalesce({has_location}, false) AS has_location,
        {amplitude_uv} AS amplitude_uv,
        {recognised} AS recognised,
        {recognised_absent} AS recognised_absent,
        {active_ms} AS active_ms,
        {battery_bp} AS battery_bp,
        {error_code} AS error_code,
        {error_severity} AS error_severity,
        {latitude_ud} AS latitude_ud,
        {longitude_ud} AS longitude_ud
    FROM {telemetry} AS e
    WHERE {within}
    OFFSET 0 -- Each expression above is computed once a row, not wherever it is named below.
) AS canonical
WHERE event_id IS NOT NULL
    AND prosthesis_id IS NOT NULL
    AND (has_signal OR has_battery OR has_error OR has_location)
    AND recorded_us >= {earliest_us}
    AND recorded_us < {end_us}
    AND {in_time}
    AND {not_erased}
    -- What a kind must carry is there, and whatever is there is in range, also in columns of another kind.
    AND (NOT has_signal OR (amplitude_uv IS NOT NULL AND recognised IS NOT NULL AND active_ms IS NOT NULL))
    AND (NOT has_battery OR battery_bp IS NOT NULL)
    AND (NOT has_error OR (error_code IS NOT NULL AND error_severity IS NOT NULL))
    AND (NOT has_location OR (latitude_ud IS NOT NULL AND longitude_ud IS NOT NULL))
    AND coalesce(amplitude_uv <> 'NaN', true)
    AND (recognised IS NOT NULL OR recognised_absent)
    AND coalesce(active_ms <> 'NaN', true)
    AND coalesce(battery_bp <> 'NaN', true)
    AND coalesce(error_code COLLATE "C" ~ {error_code_form}, true)
    AND coalesce(error_severity <> '', true)
    AND coalesce(latitude_ud <> 'NaN', true)
    AND coalesce(longitude_ud <> 'NaN', true)
