"""Commands about generators of examples of rare classes."""
