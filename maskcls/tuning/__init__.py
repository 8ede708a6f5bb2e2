"""A search for better settings: trials that are ordinary runs, drawn by Optuna, on one storage for all workers."""
