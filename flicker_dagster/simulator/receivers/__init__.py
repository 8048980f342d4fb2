"""Receivers: what destinations speak to in tests and demos, one module per service, faithful to its API."""
