"""A training with a time limit: its stages, one after the other."""
