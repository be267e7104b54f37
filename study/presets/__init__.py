"""Studies that come with the installation."""
