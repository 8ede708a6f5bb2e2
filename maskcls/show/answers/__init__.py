"""What is printed of predictions: scores, comparisons, ensembles, groups, checks."""
