"""Pseudo labels: selected, written, read."""
