"""Run-time services of a trial: limits, resource usage, attempts and storage errors."""
