"""What `maskcls synth` shows: on the terminal and as pages."""
