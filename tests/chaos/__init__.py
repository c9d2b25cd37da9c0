"""Faults injected into the whole system while it works, and the question afterwards: is every number still PostgreSQL's?"""
