"""Checks that make at most a few steps on one batch."""
