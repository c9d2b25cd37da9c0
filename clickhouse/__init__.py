"""The ClickHouse schema: numbered SQL, and the migrator that applies it."""
