"""Views of an image for the network: resizing, augmentation, mixing."""
