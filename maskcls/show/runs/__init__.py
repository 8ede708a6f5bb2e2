"""What is printed of trainings and finished runs."""
