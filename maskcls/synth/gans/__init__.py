"""Conditional generators of images with one discriminator or critic: dcgan and wgan-gp."""
