"""The MLflow mirror: records of a study, queued in an outbox and synchronized by a process."""
