"""The package study.spec."""
