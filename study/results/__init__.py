"""What came out of a study, read from its storage."""
