"""Data layouts: from what is on disk to a manifest, one file per layout."""
