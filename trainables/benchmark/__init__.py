"""Benchmarks that need torch alone: a challenged step, and replicas trained together."""

from trainables.benchmark.pairing import LEAST_ROUNDS, Spread, in_turn, named, ratio, spread

__all__ = ["LEAST_ROUNDS", "Spread", "in_turn", "named", "ratio", "spread"]
