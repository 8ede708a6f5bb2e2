"""Data layouts: from files on disk to a manifest. One file per layout, named as in `layoutnames`."""
