-- TRUNCATE leaves no row events in the WAL, so nobody downstream would know what is gone. Deleting the rows first, in the same transaction,
-- makes it as many deletes, each in its own partition of the log and in its place in the order (docs/adr/0019-truncate-is-deletes.md).
CREATE FUNCTION telemetry.delete_before_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('DELETE FROM %s', TG_RELID::regclass);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION telemetry.delete_before_truncate() FROM PUBLIC;
CREATE TRIGGER delete_before_truncate BEFORE TRUNCATE ON telemetry.telemetry_events
    FOR EACH STATEMENT EXECUTE FUNCTION telemetry.delete_before_truncate();
