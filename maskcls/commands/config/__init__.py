"""What can be configured, and what a configuration resolves to."""
