-- The watch looks at the catalogue, which anybody may read, and counts the heartbeat rows: it sees nothing of anybody's data.
GRANT USAGE ON SCHEMA crm TO watcher;
GRANT SELECT ON crm.pipeline_heartbeats TO watcher;
