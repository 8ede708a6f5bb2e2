"""What checks of a training compute from arrays: chance, error parts, learning curves, rare classes."""
