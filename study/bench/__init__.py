"""Benchmarks of what a study costs beside its trials: its overhead, and how far it scales."""
