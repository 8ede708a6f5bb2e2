"""Generators of examples of rare classes: trained, sampled, filtered and compared."""
