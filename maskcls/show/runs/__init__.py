"""What is printed of finished runs."""
