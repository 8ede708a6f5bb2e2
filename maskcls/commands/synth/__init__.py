"""The verbs of maskcls synth."""
