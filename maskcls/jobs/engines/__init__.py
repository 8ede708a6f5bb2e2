"""The engines that run jobs: this machine, SLURM, Ray; and the words of `--on` that name them."""
