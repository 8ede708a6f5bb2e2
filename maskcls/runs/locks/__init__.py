"""Locks of a run: against a second process that trains it, against deleting what is read, and of small files."""
