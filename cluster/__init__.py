"""Ray sessions, the service of a machine, quotas and launch files, of challenger-study."""
