"""Before the first network of a run: what is read, checked and measured, and the forecast of it."""
