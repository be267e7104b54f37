"""Where a study runs: on a Ray of its own on this machine, or on one that runs already."""
