"""What two programs need and neither should write twice. Each module says in its first line what it is for, and which extra it needs."""
