"""How text, numbers, JSON, progress and pictures are written, the same way everywhere."""
