"""Rows: the manifest, its folds, and the rows of each epoch."""
