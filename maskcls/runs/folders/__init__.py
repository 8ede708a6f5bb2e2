"""What is no run, or of no run: folders of something else, what a killed start left, files that nobody knows."""
