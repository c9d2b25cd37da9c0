-- Who owned which prosthesis when, with the attributes that reports carry. Runs on the CRM database; names come from the source mapping.
-- Where contracts of one prosthesis overlap, the later beginning wins, then the higher contract id. Intervals are half-open, in microseconds.
WITH contracts AS MATERIALIZED (
    SELECT
        k.{contract_prosthesis_id} AS prosthesis_id,
        k.{contract_id} AS contract_id,
        {starts_us} AS starts_us,
        coalesce({ends_us}, {forever_us}) AS ends_us
    FROM {contracts} AS k
    JOIN {customers} AS c ON c.{customer_id} = k.{contract_customer_id}
    WHERE {starts_us} < coalesce({ends_us}, {forever_us})
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
    ORDER BY s.prosthesis_id, s.starts_us, k.starts_us DESC, k.contract_id DESC
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
    i.prosthesis_id::text AS prosthesis_id,
    i.starts_us,
    nullif(i.ends_us, {forever_us}) AS ends_us,
    c.{customer_user_id}::text AS user_id,
    c.{customer_id}::text AS customer_id,
    coalesce(c.{customer_name}::text, '') AS customer_name,
    coalesce(c.{customer_timezone}::text, '') AS timezone,
    k.{contract_id}::text AS contract_id,
    coalesce(k.{contract_number}::text, '') AS contract_number,
    coalesce(p.{prosthesis_model}::text, '') AS prosthesis_model,
    coalesce(p.{prosthesis_serial_number}::text, '') AS prosthesis_serial_number
FROM intervals AS i
JOIN {contracts} AS k ON k.{contract_id} = i.contract_id
JOIN {customers} AS c ON c.{customer_id} = k.{contract_customer_id}
LEFT JOIN {prostheses} AS p ON p.{prosthesis_id} = i.prosthesis_id
ORDER BY i.prosthesis_id, i.starts_us
