"""The package trainables.runtime."""
