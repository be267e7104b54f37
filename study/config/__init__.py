"""A study file, decoded strictly into frozen records, and what may change once it has begun."""
