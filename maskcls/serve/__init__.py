"""A small HTTP server that predicts photos."""
