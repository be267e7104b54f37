"""The review copy: what MLflow is told, through an outbox that a process of its own empties."""
