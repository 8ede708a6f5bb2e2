"""Checks that train networks, or read what a finished run trained."""
