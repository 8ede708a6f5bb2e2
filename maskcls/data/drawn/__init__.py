"""Drawn faces in the contest's layout."""
