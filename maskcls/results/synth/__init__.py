"""Results about generators that need arrays only: their watch, the table of samples, quotas, filters and verdicts."""
