"""What `maskcls data labels` prints, and its page."""
