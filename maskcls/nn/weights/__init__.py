"""Weights that a network starts with: files of other programs, and which of their tensors are a backbone's."""
