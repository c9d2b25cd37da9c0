"""What every service needs and none should write twice: settings, logging, Kafka client configuration."""
