-- ClickHouse: raw telemetry that is not deleted by prosthesis and UTC day: how many events, and the sum of their hashes, modulo 2^64: sixty bits of the MD5 of
-- the id and the content as in events.sql.
SELECT
    prosthesis_id,
    toInt32(intDiv(toUnixTimestamp64Micro(recorded_at), 86400000000)) AS utc_day,
    count(),
    toString(sum(bitShiftRight(reinterpretAsUInt64(reverse(substring(MD5(concat({id}, '|', {hashed})), 1, 8))), 4)))
FROM telemetry_events FINAL
WHERE deleted = 0 AND toUnixTimestamp64Micro(recorded_at) >= %(first_us)s AND toUnixTimestamp64Micro(recorded_at) < %(end_us)s
GROUP BY prosthesis_id, utc_day
ORDER BY prosthesis_id, utc_day
