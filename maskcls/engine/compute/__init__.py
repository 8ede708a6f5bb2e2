"""Choosing how networks are computed on this machine: measure, apply one rule, remember."""
