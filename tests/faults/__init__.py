"""Fault injection at seeded moments into a real study, and an audit of its results."""
