"""Records that all of study shares: trial table, labels, errors, environment."""
