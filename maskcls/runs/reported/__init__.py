"""What a report shows of a finished run, read from the run's files without torch."""
