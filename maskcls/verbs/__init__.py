"""The verbs of the command line, by topic: options, help text, and a call of the command."""
