"""Samples of generators as arrays: their table, their quality and their verdict."""
