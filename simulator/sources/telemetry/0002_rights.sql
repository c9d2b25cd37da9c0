-- Least rights. Corrections (UPDATE, DELETE) are the ingest service's; event_id and received_at of a row never change.
GRANT USAGE ON SCHEMA telemetry TO telemetry_ingest, debezium, auditor;
GRANT SELECT, INSERT, DELETE ON telemetry.telemetry_events TO telemetry_ingest;
GRANT UPDATE (prosthesis_id, recorded_at, kind, amplitude_uv, movement_recognised, active_ms, battery_percent,
              error_code, error_severity, latitude, longitude) ON telemetry.telemetry_events TO telemetry_ingest;
GRANT SELECT ON telemetry.telemetry_events, telemetry.pipeline_heartbeats, telemetry.debezium_signals TO debezium, auditor;
GRANT UPDATE (beat_at) ON telemetry.pipeline_heartbeats TO debezium;
GRANT UPDATE (beat_at, barrier) ON telemetry.pipeline_heartbeats TO auditor;
GRANT INSERT, DELETE ON telemetry.debezium_signals TO debezium;
GRANT INSERT ON telemetry.debezium_signals TO auditor;
