"""Examples made between embeddings of photos, and linear heads on them."""
