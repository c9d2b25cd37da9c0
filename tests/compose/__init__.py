"""``deploy/compose.yml`` for real: built from packages, started, used, broken, stopped and started again. Not part of ``make test``.

``python -m tests.compose --help``; ``make test-compose``.
"""
