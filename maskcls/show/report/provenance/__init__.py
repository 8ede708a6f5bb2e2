"""Where a run comes from: its configuration, environment, lineage, and the time it took."""
