"""Train multi-task face classifiers (mask, gender, age) and write a checked submission."""

__version__ = "0.2.0"
