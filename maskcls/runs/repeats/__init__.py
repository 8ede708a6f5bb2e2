"""Repeated cross-validation (folds.repeats): runs of the same people with other folds, below one folder."""
