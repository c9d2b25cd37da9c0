-- See docs/adr/0003-publications-are-migrations.md. TRUNCATE is not published: it has no row events.
CREATE PUBLICATION bionicpro_telemetry
    FOR TABLE telemetry.telemetry_events, telemetry.pipeline_heartbeats, telemetry.debezium_signals
    WITH (publish = 'insert, update, delete');
