-- The telemetry of another company: wide rows, UUID keys that have no order, epoch milliseconds, other units.
CREATE SCHEMA device_data;
CREATE TABLE device_data.readings
(
    reading_uuid uuid PRIMARY KEY, limb_uuid uuid NOT NULL, measured_ms bigint, emg_mv numeric, gesture_ok boolean, active_seconds numeric,
    charge double precision, fault text, fault_level text, lat_e6 bigint, lon_e6 bigint
);
ALTER TABLE device_data.readings REPLICA IDENTITY FULL;
CREATE TABLE device_data.heartbeats
(
    log_key text PRIMARY KEY, log_partition integer NOT NULL UNIQUE, beat_at timestamptz NOT NULL DEFAULT clock_timestamp(), barrier text
) WITH (fillfactor = 10);
CREATE TABLE device_data.debezium_signals (id text PRIMARY KEY, type text NOT NULL, data text);

CREATE FUNCTION device_data.delete_before_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN EXECUTE format('DELETE FROM %s', TG_RELID::regclass); RETURN NULL; END $$;
CREATE TRIGGER first BEFORE TRUNCATE ON device_data.readings FOR EACH STATEMENT EXECUTE FUNCTION device_data.delete_before_truncate();

GRANT USAGE ON SCHEMA device_data TO debezium, auditor, watcher;
GRANT SELECT ON ALL TABLES IN SCHEMA device_data TO debezium, auditor;
GRANT SELECT ON device_data.heartbeats TO watcher;
GRANT UPDATE (beat_at) ON device_data.heartbeats TO debezium;
GRANT UPDATE (beat_at, barrier) ON device_data.heartbeats TO auditor;
GRANT INSERT, DELETE ON device_data.debezium_signals TO debezium;
GRANT INSERT ON device_data.debezium_signals TO auditor;

DROP PUBLICATION bionicpro_telemetry;
CREATE PUBLICATION bionicpro_telemetry
    FOR TABLE device_data.readings, device_data.heartbeats, device_data.debezium_signals WITH (publish = 'insert, update, delete');
