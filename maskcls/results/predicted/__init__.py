"""Rows of predicted photos: parts on disk, and tables in three formats."""
