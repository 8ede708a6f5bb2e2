"""Ways to treat rare classes that are compared with equal steps, and the screening of them on frozen features."""
