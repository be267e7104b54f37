"""The engine that runs a study: planner, coordinator and executors."""
