"""Photos of one class translated into another one, and back: CycleGAN (Zhu et al. 2017, arXiv:1703.10593)."""
