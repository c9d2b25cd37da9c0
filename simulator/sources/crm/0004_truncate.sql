-- TRUNCATE leaves no row events in the WAL: see telemetry/0004_truncate.sql. The arguments are the tables that refer to this one: PostgreSQL lets it be
-- truncated only together with them, and their rows have to go first.
CREATE FUNCTION crm.delete_before_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    FOR position IN 0 .. TG_NARGS - 1 LOOP
        EXECUTE format('DELETE FROM %s', TG_ARGV[position]::regclass);
    END LOOP;
    EXECUTE format('DELETE FROM %s', TG_RELID::regclass);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION crm.delete_before_truncate() FROM PUBLIC;
CREATE TRIGGER delete_before_truncate BEFORE TRUNCATE ON crm.contracts
    FOR EACH STATEMENT EXECUTE FUNCTION crm.delete_before_truncate();
CREATE TRIGGER delete_before_truncate BEFORE TRUNCATE ON crm.customers
    FOR EACH STATEMENT EXECUTE FUNCTION crm.delete_before_truncate('crm.contracts');
CREATE TRIGGER delete_before_truncate BEFORE TRUNCATE ON crm.prostheses
    FOR EACH STATEMENT EXECUTE FUNCTION crm.delete_before_truncate('crm.contracts');
