"""Effects: ClickHouse, Kafka, dead letters."""
