"""What the verbs of `maskcls runs` return and print; pruning is beside, as the cache is pruned too."""
