"""What is printed of a data set, its photos and their cache."""
