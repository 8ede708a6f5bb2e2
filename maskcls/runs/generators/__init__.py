"""Folders of generators, as the commands that need no torch see them."""
