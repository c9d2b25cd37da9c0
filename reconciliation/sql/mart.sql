-- ClickHouse: the reports of a range of days (as numbers of days since 1970-01-01), of every prosthesis or of some; fields in the order of fields.py, rows in that of keys.
SELECT
    user_id,
    toInt32(report_date),
    prosthesis_id,
    log_partition,
    version,
    {fields}
FROM user_daily_reports FINAL
WHERE toInt32(report_date) BETWEEN %(first)s AND %(last)s AND (%(every)s OR prosthesis_id IN %(prostheses)s)
ORDER BY user_id, report_date, prosthesis_id
