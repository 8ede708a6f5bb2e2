"""The training loop and inference; only this package imports accelerate."""
