"""The whole system from packages, without a container engine: fetch, configure, supervise."""
