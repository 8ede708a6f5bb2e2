"""The verbs of the command line, by what they are about: options, help, and a call of the workflow."""
