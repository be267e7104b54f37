"""The package study.engine."""
