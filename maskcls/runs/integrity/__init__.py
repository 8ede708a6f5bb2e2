"""What belongs to what in a run: links between its files, which readers compare, and the check of all of them."""
