"""Rows: the manifest, its folds, and which rows an epoch draws."""
