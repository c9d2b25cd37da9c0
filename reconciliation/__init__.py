"""The oracle: reports recomputed in SQL from the two PostgreSQL databases, compared with the mart, and the repair of what differs.

Written from ``docs/metrics.md`` alone; it shares no code with the stream processor and must never import it.
"""
