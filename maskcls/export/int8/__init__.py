"""Exported models with 8-bit networks: calibration, quantization, and what they cost on held-out people."""
