"""Samples of generators compared with training photos by the embeddings of a trained run."""
