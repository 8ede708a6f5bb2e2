"""Checks of a training: each file examines one thing on the code that `train` runs, and returns findings."""
