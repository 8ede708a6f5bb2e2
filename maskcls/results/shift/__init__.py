"""Whether the photos to predict come from the same distribution as those trained on."""
