"""Variants of heads on the features of a frozen backbone; run by feature_heads.py."""
