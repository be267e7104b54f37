"""The errors that starting, finding and using a cluster raises on purpose.

ClusterError        no cluster answers, or it can never hold what a trial asks for
└── LaunchError     no launch file can be made of these settings
"""


class ClusterError(Exception):
    """No cluster answers, or it can never hold what a trial asks for."""


class LaunchError(ClusterError):
    """No launch file can be made of these settings."""
