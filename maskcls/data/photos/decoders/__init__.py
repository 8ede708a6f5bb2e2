"""What is done with the C libraries that Pillow decodes with, beside Pillow."""
