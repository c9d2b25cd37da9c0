-- ClickHouse: where in the log the newest version of each key comes from, deleted rows included.
SELECT user_id, toInt32(report_date) AS day, prosthesis_id, argMax(log_partition, version), max(version)
FROM user_daily_reports
WHERE (user_id, toInt32(report_date), prosthesis_id) IN %(keys)s
GROUP BY user_id, day, prosthesis_id
