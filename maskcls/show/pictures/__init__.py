"""Text in pictures, in any script."""
