"""Photos of one person: found by similarity, and averaged."""
