"""Results of a study, read from its storage."""
