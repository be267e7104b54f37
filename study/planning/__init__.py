"""What a study will train, how long that takes and what it can show, before it is run."""
