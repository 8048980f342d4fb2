"""Benchmarks: `make bench`. CPU seconds of one million events, of one Dagster run, and of a fleet, beside the peers."""
