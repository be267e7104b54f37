"""The quota of a shared cluster: several studies at once, by priority and arrival."""

from cluster.quota.client import Load, QueueRow, QuotaClient, QuotaRequest, read_queue

__all__ = ["Load", "QueueRow", "QuotaClient", "QuotaRequest", "read_queue"]
