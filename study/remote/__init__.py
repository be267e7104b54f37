"""A study on a cluster that this machine is no part of: started, asked and stopped by its name."""
