"""The package study.records."""
