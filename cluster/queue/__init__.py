"""The queue of a cluster: several studies at once, by priority and arrival."""

from cluster.queue.look import QueueRow, look
from cluster.queue.seat import Bid, Load, Seat

__all__ = ["Bid", "Load", "QueueRow", "Seat", "look"]
