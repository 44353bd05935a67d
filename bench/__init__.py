"""Measurements: requests, times, tokens, rings, outages, memory; see docs/benchmarks.md."""
