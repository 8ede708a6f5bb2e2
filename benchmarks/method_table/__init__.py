"""The parts of `methods.py`: rows, training, finished runs, comparison and report."""
