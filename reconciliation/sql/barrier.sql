-- Every heartbeat row gets the token; one row lands in each partition of the log.
UPDATE {heartbeats} SET beat_at = clock_timestamp(), barrier = %(token)s
