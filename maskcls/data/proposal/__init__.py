"""A proposed configuration for data that no configuration describes: tasks, bins, image size and recipe, with reasons."""
