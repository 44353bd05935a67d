"""Measurements: requests, start-up time, tokens, imports and memory; see docs/benchmarks.md."""
