"""What a photo or a decoded photo was when it was read, so that a later change is noticed."""
