"""The package study.results."""
