-- Who owned which prosthesis when, with the attributes that reports carry. Runs on the CRM database; names come from the source mapping.
-- Where contracts of one prosthesis overlap, the later beginning wins, then the higher contract id. Intervals are half-open, in microseconds, within the time that
-- events have; which contract wins is decided by where they really begin.
WITH contracts AS MATERIALIZED (
    SELECT
        {contract_prosthesis_id} AS prosthesis_id,
        {contract_id} AS contract_id,
        {contract_customer_id} AS customer_id,
        {contract_number} AS contract_number,
        {begins} AS begins,
        {starts_us} AS starts_us,
        CASE WHEN {ends} IS NULL THEN {end_us} ELSE {ends_us} END AS ends_us
    FROM {contracts} AS k
    JOIN {customers} AS c ON {customer_id} = {contract_customer_id}
    WHERE {customer_user_id} IS NOT NULL AND {starts_us} < CASE WHEN {ends} IS NULL THEN {end_us} ELSE {ends_us} END
),
boundaries AS (
    SELECT prosthesis_id, starts_us AS at_us FROM contracts
    UNION
    SELECT prosthesis_id, ends_us FROM contracts
),
segments AS (
    SELECT
        prosthesis_id,
        at_us AS starts_us,
        lead(at_us) OVER (PARTITION BY prosthesis_id ORDER BY at_us) AS ends_us
    FROM boundaries
),
-- Between two neighbouring boundaries the set of contracts in force is constant: the winner owns the whole segment.
owned AS (
    SELECT DISTINCT ON (s.prosthesis_id, s.starts_us) s.prosthesis_id, s.starts_us, s.ends_us, k.contract_id
    FROM segments AS s
    JOIN contracts AS k ON k.prosthesis_id = s.prosthesis_id AND k.starts_us <= s.starts_us AND k.ends_us >= s.ends_us
    -- Ids that are integers by value, above them other texts by their code points.
    ORDER BY s.prosthesis_id, s.starts_us, k.begins DESC, k.contract_id !~ {ordered_id} DESC,
        CASE WHEN k.contract_id ~ {ordered_id} THEN k.contract_id::numeric END DESC, k.contract_id COLLATE "C" DESC
),
-- Neighbouring segments of one contract are one interval again.
marked AS (
    SELECT *, CASE
        WHEN lag(contract_id) OVER w = contract_id AND lag(ends_us) OVER w = starts_us THEN 0
        ELSE 1
    END AS begins
    FROM owned
    WINDOW w AS (PARTITION BY prosthesis_id ORDER BY starts_us)
),
numbered AS (
    SELECT *, sum(begins) OVER (PARTITION BY prosthesis_id ORDER BY starts_us) AS interval_no FROM marked
),
intervals AS (
    SELECT prosthesis_id, contract_id, min(starts_us) AS starts_us, max(ends_us) AS ends_us
    FROM numbered
    GROUP BY prosthesis_id, interval_no, contract_id
)
SELECT
    i.prosthesis_id,
    i.starts_us,
    nullif(i.ends_us, {end_us}) AS ends_us,
    {customer_user_id} AS user_id,
    {customer_id} AS customer_id,
    coalesce({customer_name}, '') AS customer_name,
    coalesce({customer_timezone}, '') AS timezone,
    i.contract_id,
    coalesce(k.contract_number, '') AS contract_number,
    coalesce({prosthesis_model}, '') AS prosthesis_model,
    coalesce({prosthesis_serial_number}, '') AS prosthesis_serial_number
FROM intervals AS i
JOIN contracts AS k ON k.contract_id = i.contract_id
JOIN {customers} AS c ON {customer_id} = k.customer_id
LEFT JOIN {prostheses} AS p ON {prosthesis_id} = i.prosthesis_id
ORDER BY i.prosthesis_id, i.starts_us
