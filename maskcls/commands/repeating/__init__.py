"""The runs of a repeated cross-validation, one after the other."""
