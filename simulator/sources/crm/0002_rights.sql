-- Least rights. Roles and databases are made by the migrator; nothing here is granted to PUBLIC.
GRANT USAGE ON SCHEMA crm TO crm_app, debezium, auditor;
GRANT SELECT, INSERT, UPDATE, DELETE ON crm.customers, crm.prostheses, crm.contracts TO crm_app;
GRANT SELECT ON crm.customers, crm.prostheses, crm.contracts, crm.pipeline_heartbeats, crm.debezium_signals TO debezium, auditor;
GRANT UPDATE (beat_at) ON crm.pipeline_heartbeats TO debezium;
GRANT UPDATE (beat_at, barrier) ON crm.pipeline_heartbeats TO auditor;
-- The connector opens and removes the watermarks of an incremental snapshot; the auditor asks for one.
GRANT INSERT, DELETE ON crm.debezium_signals TO debezium;
GRANT INSERT ON crm.debezium_signals TO auditor;
