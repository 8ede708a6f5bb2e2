"""Results about generators that need arrays only: the table of samples, quotas, filters and verdicts."""
