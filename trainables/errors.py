"""The errors that training raises on purpose.

TrainableError
├── ConfigError        a setting is unknown, of the wrong kind or out of range
├── DataError          a data file is missing, truncated or altered
├── CheckpointError    a checkpoint belongs to another configuration
└── NonFiniteError     a loss or metric became NaN or infinite
"""


class TrainableError(Exception):
    """Root of this package's errors."""


class ConfigError(TrainableError):
    """A setting is unknown, of the wrong kind or out of range."""


class DataError(TrainableError):
    """A data file is missing, truncated or altered."""


class CheckpointError(TrainableError):
    """A checkpoint belongs to another configuration than the trial that loads it."""


class NonFiniteError(TrainableError):
    """A loss or metric became NaN or infinite, so that the trial has no result."""
