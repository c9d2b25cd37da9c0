-- Valid events by prosthesis and UTC day: how many there are, and the sum of their hashes, as raw_digests.sql computes it of the raw table.
-- The events are those of events.sql; its columns behind the id are named by the catalogue of raw telemetry.
SELECT
    prosthesis_id,
    (recorded_us / 86400000000)::integer AS utc_day,
    count(*),
    mod(
        sum(('x' || substr(md5(concat_ws('|', replace(event_id, '-', ''), {content})), 1, 15))::bit(60)::bigint),
        18446744073709551616
    )::text
FROM ({events}) AS events (prosthesis_id, event_id, {content})
GROUP BY prosthesis_id, utc_day
ORDER BY prosthesis_id COLLATE "C", utc_day
