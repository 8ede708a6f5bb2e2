"""What the files of a run say about it, read without torch, for lists and for pruning."""
