"""Data: layouts on disk, the manifest, photos, augmented views, and batches."""
