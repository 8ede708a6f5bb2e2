"""Photos: decoded, cached, cropped, described."""
