"""maskcls predict RUN WHAT… and maskcls predict --gather."""
