"""Verbs for finished runs."""
