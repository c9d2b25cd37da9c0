-- No erasure rule covers the event. A condition on the rows of valid_events.sql.
NOT EXISTS (
    SELECT FROM jsonb_to_recordset({erased}::jsonb) AS r (prosthesis_id text, from_us bigint, to_us bigint)
    WHERE r.prosthesis_id = canonical.prosthesis_id AND recorded_us >= r.from_us AND recorded_us < r.to_us
)
