"""Near duplicates: copies of one shot that were re-encoded, cropped, mirrored or brightened."""
