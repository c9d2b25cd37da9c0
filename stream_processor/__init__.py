"""The processor: one log in, rolling daily reports out."""
