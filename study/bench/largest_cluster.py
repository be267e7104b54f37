"""The largest cluster that one driver can feed, by arithmetic from what a trial costs it."""

from __future__ import annotations


def efficiency(slots: int, trial_s: float, driver_s: float) -> float:
    """Give the share of the places' time in which trials train.

    A place is idle while its own trial's question, reports and end are answered, and while they
    wait for those of others: a queue with one server, arrivals at random and equal work (M/D/1).

    Args:
        slots: Places.
        trial_s: How long a trial trains.
        driver_s: How long the driver is busy for a trial in all.

    Returns:
        Between 0 and 1; 0 where the driver would never catch up.

    Example:
        >>> round(efficiency(1, trial_s=9.9, driver_s=0.1), 4)
        0.99
    """
    # Of the others: nobody waits for himself.
    load = (slots - 1) * driver_s / trial_s
    if load >= 1:
        return 0.0
    waiting_s = load * driver_s / (2 * (1 - load))
    return trial_s / (trial_s + driver_s + waiting_s)


def largest_cluster(trial_s: float, driver_s: float, least: float = 0.95) -> int:
    """Give the most places that are used for the least share of their time; 0 if not even one.

    Args:
        trial_s: How long a trial trains.
        driver_s: How long the driver is busy for a trial in all.
        least: The efficiency that is wanted.

    Example:
        >>> largest_cluster(trial_s=10.0, driver_s=0.1)
        90
        >>> largest_cluster(trial_s=1.0, driver_s=0.1)
        0
    """
    low, high = 0, int(trial_s / driver_s) + 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (middle, high) if efficiency(middle, trial_s, driver_s) >= least else (low, middle)
        )
    return low
