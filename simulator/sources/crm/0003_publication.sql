-- See docs/adr/0003-publications-are-migrations.md. TRUNCATE is not published: it has no row events.
CREATE PUBLICATION bionicpro_crm
    FOR TABLE crm.customers, crm.prostheses, crm.contracts, crm.pipeline_heartbeats, crm.debezium_signals
    WITH (publish = 'insert, update, delete');
