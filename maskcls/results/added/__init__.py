"""Rows that are only trained on, from files of their own: pseudo labels, and samples of generators."""
