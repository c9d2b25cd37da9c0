"""``python -m simulator simulate|load-demo``."""

from simulator.cli import app

app()
