"""Debezium connectors and Kafka topics as files, and the tool that plans and applies them."""
