"""``python -m simulator simulate|seed``."""

from simulator.cli import app

app()
