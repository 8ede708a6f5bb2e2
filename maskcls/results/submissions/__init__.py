"""The submission file: written, read, checked."""
