"""The queue of a cluster: several studies at once, by priority and arrival."""

from cluster.quota.client import Load, QueueRow, QuotaClient, QuotaRequest, read_queue

__all__ = ["QuotaRequest", "Load", "QueueRow", "QuotaClient", "read_queue"]
