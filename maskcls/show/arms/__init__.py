"""What `maskcls synth judge` prints, and its page."""
