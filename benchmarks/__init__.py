"""Benchmarks: every goal with its peers in the same run, and a check that the answer is right."""
