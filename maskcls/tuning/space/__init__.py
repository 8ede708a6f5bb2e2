"""What a search may change: read from a file, checked, walked, and narrowed."""
