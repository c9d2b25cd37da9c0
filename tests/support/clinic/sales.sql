-- The CRM of another company: other names, UUID keys of which each is called id, epoch milliseconds, an e-mail address as the user's claim.
CREATE SCHEMA sales;
CREATE TABLE sales.patients (id uuid PRIMARY KEY, email text, display_name text, tz text, phone text);
CREATE TABLE sales.limbs (id uuid PRIMARY KEY, kind text, serial text);
CREATE TABLE sales.leases (id text PRIMARY KEY, lease_no text, patient uuid REFERENCES sales.patients, limb uuid REFERENCES sales.limbs, from_ms bigint, to_ms bigint);
ALTER TABLE sales.patients REPLICA IDENTITY FULL;
ALTER TABLE sales.limbs REPLICA IDENTITY FULL;
ALTER TABLE sales.leases REPLICA IDENTITY FULL;
CREATE TABLE sales.heartbeats (heartbeat_id integer PRIMARY KEY, beat_at timestamptz NOT NULL DEFAULT clock_timestamp(), barrier text);
INSERT INTO sales.heartbeats (heartbeat_id) VALUES (1);
CREATE TABLE sales.debezium_signals (id text PRIMARY KEY, type text NOT NULL, data text);

CREATE FUNCTION sales.delete_before_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN EXECUTE format('DELETE FROM %s', TG_RELID::regclass); RETURN NULL; END $$;
CREATE TRIGGER first BEFORE TRUNCATE ON sales.patients FOR EACH STATEMENT EXECUTE FUNCTION sales.delete_before_truncate();
CREATE TRIGGER first BEFORE TRUNCATE ON sales.limbs FOR EACH STATEMENT EXECUTE FUNCTION sales.delete_before_truncate();
CREATE TRIGGER first BEFORE TRUNCATE ON sales.leases FOR EACH STATEMENT EXECUTE FUNCTION sales.delete_before_truncate();

GRANT USAGE ON SCHEMA sales TO debezium, auditor, watcher;
GRANT SELECT ON ALL TABLES IN SCHEMA sales TO debezium, auditor;
GRANT SELECT ON sales.heartbeats TO watcher;
GRANT UPDATE (beat_at) ON sales.heartbeats TO debezium;
GRANT UPDATE (beat_at, barrier) ON sales.heartbeats TO auditor;
GRANT INSERT, DELETE ON sales.debezium_signals TO debezium;
GRANT INSERT ON sales.debezium_signals TO auditor;

DROP PUBLICATION bionicpro_crm;
CREATE PUBLICATION bionicpro_crm
    FOR TABLE sales.patients, sales.limbs, sales.leases, sales.heartbeats, sales.debezium_signals WITH (publish = 'insert, update, delete');
