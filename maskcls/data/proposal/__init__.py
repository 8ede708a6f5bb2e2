"""A proposed configuration for data that none describes: tasks, bins, image size and recipe, with reasons."""
