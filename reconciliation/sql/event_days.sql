-- Valid events by UTC day: what the windows of a long comparison are cut by.
WITH valid_events AS (
    {valid_events}
)
SELECT date '1970-01-01' + (recorded_us / 86400000000)::integer AS utc_day, count(*) AS events
FROM valid_events
GROUP BY utc_day
ORDER BY utc_day
