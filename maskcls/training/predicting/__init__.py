"""Prediction of new photos with the networks of a run."""
