"""The verbs of generators: train, resume, sample, page, judge."""
