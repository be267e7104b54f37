"""How a trial runs: limits, resource usage, attempts and storage errors."""
