"""Samples as rows of a training: drawn for quotas, filtered, and written as a table."""
