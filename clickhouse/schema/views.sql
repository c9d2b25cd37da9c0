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

-- When errors occurred, of raw telemetry: those that the reports of named users count, newest first. As the fold has it: owned by the user at that time,
-- neither deleted nor erased. Raw telemetry may be kept for less long than reports (retention); then there are fewer than a report counts.
CREATE OR REPLACE VIEW {shared}.errors_of_users DEFINER = {definer} SQL SECURITY DEFINER
AS WITH
    mine AS
    (
        SELECT user_id, report_date, prosthesis_id, day_starts_at, day_ends_at
        FROM {generation_database}.user_daily_reports FINAL
        WHERE user_id IN {{users:Array(String)}} AND report_date BETWEEN {{first:Date32}} AND {{last:Date32}} AND error_count > 0
    ),
    owned AS
    (
        SELECT prosthesis_id, JSONExtract(document, 'intervals', 'Array(Tuple(user_id String, starts_us Int64, ends_us Nullable(Int64)))') AS intervals
        FROM {generation_database}.ownership FINAL
        WHERE hasAny(users, {{users:Array(String)}}) AND prosthesis_id IN (SELECT prosthesis_id FROM mine)
    ),
    erased AS
    (
        SELECT prosthesis_id, groupArrayArray(arrayZip(from_us, to_us)) AS spans FROM {shared}.erasure_rules FINAL
        WHERE prosthesis_id IN (SELECT prosthesis_id FROM mine)
        GROUP BY prosthesis_id
    ),
    happened AS
    (
        SELECT prosthesis_id, recorded_at, toUnixTimestamp64Micro(recorded_at) AS us, error_code, error_severity
        FROM {generation_database}.telemetry_events FINAL
        WHERE prosthesis_id IN (SELECT prosthesis_id FROM mine)
            AND recorded_at >= (SELECT min(day_starts_at) FROM mine) AND recorded_at < (SELECT max(day_ends_at) FROM mine)
            AND bitAnd(facets, 4) > 0 AND deleted = 0
    )
SELECT tuple(mine.user_id, mine.report_date, mine.prosthesis_id, happened.recorded_at, happened.error_code, happened.error_severity) AS report
FROM happened
INNER JOIN mine ON mine.prosthesis_id = happened.prosthesis_id
INNER JOIN owned ON owned.prosthesis_id = happened.prosthesis_id
LEFT JOIN erased ON erased.prosthesis_id = happened.prosthesis_id
WHERE happened.recorded_at >= mine.day_starts_at AND happened.recorded_at < mine.day_ends_at
    AND arrayExists(o -> o.user_id = mine.user_id AND us >= o.starts_us AND (o.ends_us IS NULL OR us < o.ends_us), owned.intervals)
    AND NOT arrayExists(s -> us >= s.1 AND us < s.2, erased.spans)
ORDER BY happened.recorded_at DESC, mine.prosthesis_id, happened.error_code
LIMIT {{most:UInt32}};

-- The typical day (docs/metrics.md): by hour, over the complete days of 24 hours, the quartiles of active time in the hour and from the day's start to the hour's end.
-- A day is complete where each of its rows' partitions is handled to its end: until[i], in seconds, is how far partitions[i] is.
CREATE OR REPLACE VIEW {shared}.typical_day_of_users DEFINER = {definer} SQL SECURITY DEFINER
AS WITH
    days AS
    (
        SELECT user_id, report_date, sumForEach(usage_ms_by_hour) AS by_hour, arrayCumSum(by_hour) AS by_then
        FROM {generation_database}.user_daily_reports FINAL
        WHERE user_id IN {{users:Array(String)}} AND report_date BETWEEN {{first:Date32}} AND {{last:Date32}}
            AND ({{prosthesis:String}} = '' OR prosthesis_id = {{prosthesis:String}})
        GROUP BY user_id, report_date
        HAVING min({{until:Array(UInt32)}}[indexOf({{partitions:Array(UInt16)}}, log_partition)] >= toUnixTimestamp(day_ends_at))
            AND min(day_ends_at - day_starts_at) = 86400 AND max(day_ends_at - day_starts_at) = 86400
    ),
    hours AS
    (
        SELECT user_id, hour, count() AS n, arraySort(groupArray(in_hour)) AS ms, arraySort(groupArray(until_hour)) AS until_ms
        FROM days
        ARRAY JOIN by_hour AS in_hour, by_then AS until_hour, arrayEnumerate(by_hour) AS hour
        GROUP BY user_id, hour
    )
SELECT tuple(user_id, hour - 1, n, arrayMap(k -> ms[intDiv(n * k + 3, 4)], [1, 2, 3]), arrayMap(k -> until_ms[intDiv(n * k + 3, 4)], [1, 2, 3])) AS report
FROM hours;

-- What the CRM has of named users' prostheses: one row an effective interval of ownership; instants in microseconds since 1970-01-01 UTC, ends_us null: open.
CREATE OR REPLACE VIEW {shared}.prostheses_of_users DEFINER = {definer} SQL SECURITY DEFINER
AS SELECT tuple(of.user_id, prosthesis_id, JSONExtractString(document, 'model'), JSONExtractString(document, 'serial_number'),
    of.starts_us, of.ends_us, of.contract_number, of.timezone) AS report
FROM {generation_database}.ownership FINAL
ARRAY JOIN JSONExtract(document, 'intervals',
    'Array(Tuple(user_id String, starts_us Int64, ends_us Nullable(Int64), contract_number String, timezone String))') AS of
WHERE hasAny(users, {{users:Array(String)}}) AND of.user_id IN {{users:Array(String)}};

-- Support's search, for an account of its own: wearers one of whose contracts holds every word of the text, in the wearer's name, the contract's number or the prosthesis's
-- serial number. Words of two characters or more have three together, where an ideograph, kana or syllable of Hangul counts twice; at most 20 are given, and one more to tell that there are others. Spelling as in the column search_text.
CREATE OR REPLACE VIEW {shared}.wearers_by_text DEFINER = {definer} SQL SECURITY DEFINER
AS WITH arrayFilter(w -> w != '', splitByWhitespace(replaceAll(lowerUTF8(normalizeUTF8NFKC({{text:String}})), 'ё', 'е'))) AS words,
    arrayMap(w -> lengthUTF8(w) + countMatches(w, '[々〆〇ぁ-ゖァ-ヺー㐀-䶿一-鿿가-힣𠀀-𲎯]'), words) AS lengths
SELECT tuple(of.user_id, argMax(of.customer_name, of.starts_us), arraySort(groupUniqArray(20)(of.contract_number)),
    arraySort(groupUniqArray(20)(tuple(JSONExtractString(document, 'model'), JSONExtractString(document, 'serial_number'))))) AS report
FROM {generation_database}.ownership FINAL
ARRAY JOIN JSONExtract(document, 'intervals',
    'Array(Tuple(user_id String, starts_us Int64, contract_number String, customer_name String))') AS of
WHERE arraySum(n -> if(n < 2, 0, n), lengths) >= 3
    AND arrayAll(w -> position(search_text, w) > 0, words)
    AND arrayAll(w -> position(replaceAll(lowerUTF8(normalizeUTF8NFKC(
        concat(of.customer_name, '\n', of.contract_number, '\n', JSONExtractString(document, 'serial_number')))), 'ё', 'е'), w) > 0, words)
GROUP BY of.user_id
ORDER BY argMax(of.customer_name, of.starts_us), of.user_id
LIMIT 21;
