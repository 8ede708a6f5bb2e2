"""Pretraining of a backbone on photos without labels."""
