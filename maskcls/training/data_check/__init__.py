"""What `maskcls data check` finds in a data set."""
