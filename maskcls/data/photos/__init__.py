"""Photos: decoding, the cache, crops around faces, and descriptors."""
