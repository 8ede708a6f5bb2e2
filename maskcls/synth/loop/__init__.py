"""The training loop that all generators of images share."""
