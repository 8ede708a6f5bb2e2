"""Runs of single folds that become one run: whether they belong together, and how their networks are copied."""
