"""Train multi-task face classifiers (mask, gender, age) and write one honest submission."""

__version__ = "0.1.0"
