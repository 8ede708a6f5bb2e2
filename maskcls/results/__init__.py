"""Arrays only: everything that happens after a model has spoken, without torch."""
