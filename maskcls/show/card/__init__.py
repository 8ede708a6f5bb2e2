"""The model card: what a trained model is, how well it works, and what it must not be used for, as Markdown."""
