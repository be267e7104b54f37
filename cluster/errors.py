"""Errors of starting, finding and using a cluster.

ClusterError        no cluster answers, or it can never hold a trial
└── LaunchError     no launch file can be made of these settings
"""


class ClusterError(Exception):
    """No cluster answers, or it can never hold a trial."""


class LaunchError(ClusterError):
    """No launch file can be made of these settings."""
