"""How a study runs: planner, coordinator and executors."""
