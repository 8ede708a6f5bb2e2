"""Choose how networks are computed on this machine: measure, apply one rule, keep the result in the cache folder."""
