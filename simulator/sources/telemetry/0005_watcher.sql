-- The watch looks at the catalogue, which anybody may read, and counts the heartbeat rows: it sees nothing of anybody's data.
GRANT USAGE ON SCHEMA telemetry TO watcher;
GRANT SELECT ON telemetry.pipeline_heartbeats TO watcher;
