"""``bionicpro dlq``: look at refused records, send them back to where they came from, delete them.

``letters`` is pure (what a record says, which are meant, what a replay sends); ``topic`` reads, sends and deletes; ``command`` talks to the operator.
"""
