-- What readers see: one generation, switched by replacing these views. DEFINER: readers need no right on the tables.
CREATE OR REPLACE VIEW {shared}.user_daily_reports DEFINER = {definer} SQL SECURITY DEFINER
AS SELECT * FROM {generation_database}.user_daily_reports FINAL;

-- As stored, but as_of is no later than the last moment at which both sources were seen whole, while one of them is not: heartbeats arrive from a database
-- whose tables do not. Another generation's checks are about other data.
CREATE OR REPLACE VIEW {shared}.partition_progress DEFINER = {definer} SQL SECURITY DEFINER
AS WITH (
    SELECT minOrDefaultIf(whole_at, NOT arrives) FROM {shared}.source_checks FINAL
    WHERE generation = toUInt32(extract('{generation_database}', '_g([0-9]+)$'))
) AS whole_until
SELECT * REPLACE (if(toUnixTimestamp64Milli(whole_until) = 0, as_of, least(as_of, whole_until)) AS as_of) FROM {generation_database}.partition_progress FINAL;

-- What the reports service sees of the mart, and all that it sees: the rows of users whom it names, of the days that it names. There is no way to ask for
-- everybody's. One column, a tuple in the order of MartRow and RowVersion (schemas/mart.py): a view costs the server planning for each column.
CREATE OR REPLACE VIEW {shared}.reports_of_users DEFINER = {definer} SQL SECURITY DEFINER
AS SELECT tuple({mart_row}) AS report
FROM {generation_database}.user_daily_reports FINAL
WHERE user_id IN {{users:Array(String)}} AND report_date BETWEEN {{first:Date32}} AND {{last:Date32}};

CREATE OR REPLACE VIEW {shared}.report_versions_of_users DEFINER = {definer} SQL SECURITY DEFINER
AS SELECT tuple({row_version}) AS report
FROM {generation_database}.user_daily_reports FINAL
WHERE user_id IN {{users:Array(String)}} AND report_date BETWEEN {{first:Date32}} AND {{last:Date32}};
