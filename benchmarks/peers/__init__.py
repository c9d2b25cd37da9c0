"""Peers: the same work in other stream processors, each a program of its own. They import nothing of the project but ``benchmarks.peers``."""
