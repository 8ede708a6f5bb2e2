"""A run as files for other programs, and models read from such files."""
