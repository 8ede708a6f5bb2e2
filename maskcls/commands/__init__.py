"""One workflow a file: the composition roots."""
