"""The training loop and inference; the only home of accelerate."""
