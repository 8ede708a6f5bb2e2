"""A run read from its files, without torch."""
