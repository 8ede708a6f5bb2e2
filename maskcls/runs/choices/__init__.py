"""What was tried on the same labelled rows: the register of it, and how many there were."""
