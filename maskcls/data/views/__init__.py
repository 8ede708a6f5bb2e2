"""What enters the network: resizing, augmentation, mixing."""
