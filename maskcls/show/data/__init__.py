"""What the verbs of `maskcls data` return and print."""
