"""The errors that search spaces raise on purpose.

SpaceError    a dimension is unknown, of the wrong kind or out of its range
"""


class SpaceError(Exception):
    """A dimension is unknown, of the wrong kind or out of its range."""
