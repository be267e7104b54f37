"""A real study under blows at seeded moments, and an audit of what is left of it."""
