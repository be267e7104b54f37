"""Records of trials that all of study shares: the trial table, labels, errors, the environment."""
