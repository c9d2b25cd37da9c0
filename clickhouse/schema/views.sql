-- What readers see: one generation, switched by replacing these views. DEFINER: readers need no right on the tables.
CREATE OR REPLACE VIEW {shared}.user_daily_reports DEFINER = {definer} SQL SECURITY DEFINER
AS SELECT * FROM {generation_database}.user_daily_reports FINAL;

CREATE OR REPLACE VIEW {shared}.partition_progress DEFINER = {definer} SQL SECURITY DEFINER
AS SELECT * FROM {generation_database}.partition_progress FINAL;
