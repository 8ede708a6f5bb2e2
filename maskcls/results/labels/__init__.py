"""Suspected faults of labels, found in out-of-fold probabilities."""
