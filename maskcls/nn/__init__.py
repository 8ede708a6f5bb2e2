"""Networks, heads, targets, losses, optimizers, schedules and weight averages."""
