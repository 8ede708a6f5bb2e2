"""A training as a whole: its experiment, its checks, its folds, and predicting with what it made."""
