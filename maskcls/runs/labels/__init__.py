"""Labels of finished runs, and what may be wrong with them."""
