"""The errors that training raises on purpose.

TrainableError
├── ConfigError        a setting is unknown, of the wrong kind or out of range
├── PluginError        a plug-in is missing, changed or broken
├── DataError          a data file is missing, truncated or altered
├── CheckpointError    a checkpoint belongs to another configuration
├── NonFiniteError     a loss or metric became NaN or infinite
├── TimeLimitError     a trial took longer than its study allows, or hung
├── DeviceMemoryError  a trial does not fit into its share of a GPU
├── StorageError       the storage is full, read-only or gone; the trial can be resumed
└── StoppedError       the study requested a stop; the trial can be resumed
"""


class TrainableError(Exception):
    """Root of this package's errors."""


class ConfigError(TrainableError, ValueError):
    """A setting is unknown, of the wrong kind or out of range.

    A ValueError, so that pydantic adds the path of what raised it.
    """


class PluginError(TrainableError):
    """A plug-in is missing, changed or broken; the message has its file and line."""


class DataError(TrainableError):
    """A data file is missing, truncated or altered."""


class CheckpointError(TrainableError):
    """A checkpoint belongs to another configuration than the trial that loads it."""


class NonFiniteError(TrainableError):
    """A loss or metric became NaN or infinite, so that the trial has no result."""


class TimeLimitError(TrainableError):
    """A trial took longer than its study allows, or hung, so that it has no result."""


class DeviceMemoryError(TrainableError):
    """A trial does not fit into its share of a GPU, so that it has no result."""


class StorageError(TrainableError):
    """The storage is full, read-only or gone; what was written before is kept."""


class StoppedError(TrainableError):
    """The study requested a stop; the trial can be resumed from its checkpoint."""
