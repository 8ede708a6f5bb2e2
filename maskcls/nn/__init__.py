"""Batches to loss."""
