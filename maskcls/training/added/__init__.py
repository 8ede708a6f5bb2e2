"""Rows that are only trained on: pseudo-labelled photos and samples of generators, as rows of an experiment."""
