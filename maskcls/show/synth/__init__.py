"""What the verbs of generators return and print."""
