"""Benchmarks: the project and its peers on the same work, in one run. ``python -m benchmarks --help``; figures and limits in docs/performance.md."""
