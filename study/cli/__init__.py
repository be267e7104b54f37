"""The command line: commands by topic, each module imported when a command is called."""
