-- How many valid events nobody owns: they wait in the raw table and count in no report.
WITH valid_events AS (
    {valid_events}
),
intervals AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(intervals)s::jsonb) AS i (prosthesis_id text, starts_us bigint, ends_us bigint)
)
SELECT count(*)
FROM valid_events AS e
WHERE NOT EXISTS (
        SELECT FROM intervals AS i
        WHERE i.prosthesis_id = e.prosthesis_id AND e.recorded_us >= i.starts_us AND (i.ends_us IS NULL OR e.recorded_us < i.ends_us)
    )
